package modules

// Unforeseen is the error of a Check in a plan that hangs on what an earlier
// task of the same plan would bring about and nobody can foresee: the status of
// a Deployment that is yet to be created. It is no failure; the task's verdict
// is "known after apply", with the reason.
type Unforeseen struct {
	Reason string // what is not known, and which task it hangs on
}

func (u *Unforeseen) Error() string { return u.Reason }

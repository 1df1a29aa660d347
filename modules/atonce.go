package modules

import "sync"

// askedAtOnce bounds how many pods are asked at the same time: one that does not
// answer must not hold up all others, and an API server has others to serve.
const askedAtOnce = 16

// atOnce asks about every item, several at a time, and gives the answers in the
// order of the items. Of several errors it returns the first in that order.
func atOnce[T, A any](items []T, ask func(T) (A, error)) ([]A, error) {
	answers, errs := make([]A, len(items)), make([]error, len(items))
	free := make(chan struct{}, askedAtOnce)
	var all sync.WaitGroup
	for i, item := range items {
		free <- struct{}{}
		all.Go(func() {
			answers[i], errs[i] = ask(item)
			<-free
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

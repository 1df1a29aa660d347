package ssh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// login is one attempt to log in. It offers each key once and the password once.
type login struct {
	keys     *keyring
	password func(context.Context) (string, error)
	offers   []string // what the server takes
	sent     bool     // the password
}

// methods are the ways to log in, in order. The client library uses one of each
// kind only, so all keys are in one.
func (l *login) methods(ctx context.Context) []ssh.AuthMethod {
	methods := []ssh.AuthMethod{
		ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return l.keys.signers(), nil }),
	}
	if l.password == nil {
		return methods
	}
	once := func() (string, error) {
		if l.sent { // a second wrong password may lock the account
			return "", errors.New("the password was refused")
		}
		l.sent = true
		return l.password(ctx)
	}
	return append(methods,
		ssh.PasswordCallback(once),
		ssh.KeyboardInteractive(func(_, _ string, questions []string, echos []bool) ([]string, error) {
			switch {
			case len(questions) == 0:
				return nil, nil
			case len(questions) > 1 || echos[0]:
				return nil, fmt.Errorf("the server asks %d questions: only a password can be answered", len(questions))
			}
			answer, err := once()
			return []string{answer}, err
		}))
}

// note keeps what the server offers, for the error.
func (l *login) note(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	if len(c.AllowedMethods) > 0 {
		l.offers = slices.Clone(c.AllowedMethods)
	}
	return nil, nil
}

// refusal says why the login as this user failed.
func (l *login) refusal(user string, err error) error {
	text := fmt.Sprintf("login as %s refused", user)
	if len(l.offers) > 0 {
		text += ": the server offers " + strings.Join(l.offers, ", ")
	}
	text += "; " + l.keys.String()
	switch {
	case l.sent:
		text += ", and the password"
	case slices.Contains(l.offers, "password") && l.password == nil:
		text += "; no ansible_password is given"
	}
	return fmt.Errorf("%s (%w)", text, err)
}

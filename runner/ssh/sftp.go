package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path"

	"github.com/pkg/sftp"

	"runbook/modules"
)

// bigWrite is the size in bytes from which sftp is worth a channel of its own.
const bigWrite = 1 << 20

// put uploads the content into a new file beside the path, readable by its owner
// only, and says whether that was possible. If not, nothing is left.
func (c *connection) put(ctx context.Context, w modules.Write) (temp string, ok bool) {
	select {
	case c.uploading <- struct{}{}:
		defer func() { <-c.uploading }()
	case <-ctx.Done():
		return "", false
	}
	session, err := c.session(ctx)
	if err != nil {
		return "", false
	}
	defer session.Close()
	temp = path.Join(path.Dir(w.Path), ".runbook."+rand.Text())
	err = within(ctx, func() error {
		streams, err := streamsOf(session)
		if err != nil {
			return err
		}
		if err := session.RequestSubsystem("sftp"); err != nil {
			return err
		}
		client, err := sftp.NewClientPipe(streams.Stdout, streams.Stdin, sftp.UseConcurrentWrites(true))
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, func() { _ = session.Close() })
		defer stop()
		err = upload(client, temp, w.Data)
		_ = client.Close()
		_ = client.Wait() // until the server has given the session up
		return err
	})
	return temp, err == nil
}

// upload writes the file, or removes it again: writes at the same time may leave
// holes when one of them fails.
func upload(client *sftp.Client, name string, data []byte) (err error) {
	file, err := client.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = client.Remove(name) // the first error is the one that matters
		}
	}()
	if err := file.Chmod(0o600); err != nil {
		return err
	}
	_, err = file.ReadFrom(bytes.NewReader(data))
	return err
}

package modules

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFail(t *testing.T) {
	d, _ := Lookup("fail")
	_, err := d.New().Check(t.Context(), &fake{})
	assert.EqualError(t, err, "Failed as requested from task")

	_, err = (&fail{Msg: "no more disk: 100 %s"}).Check(t.Context(), &fake{})
	assert.EqualError(t, err, "no more disk: 100 %s")
}

package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

// maxBits bounds the size of a number: the work grows with its square.
const maxBits = 1 << 16

var (
	errZeroDivision = errors.New("division by zero")
	errTooBig       = fmt.Errorf("the number would have more than %d bits", maxBits)
)

func (n Int) String() string {
	if n.big != nil {
		return n.big.String()
	}
	return fmt.Sprint(n.small)
}

// wide is n as a big number, to be read only.
func (n Int) wide() *big.Int {
	if n.big != nil {
		return n.big
	}
	return big.NewInt(n.small)
}

func (n Int) float() float64 {
	if n.big == nil {
		return float64(n.small)
	}
	f, _ := new(big.Float).SetInt(n.big).Float64()
	return f
}

func newInt(n *big.Int) Int {
	if n.IsInt64() {
		return Int{small: n.Int64()}
	}
	return Int{big: n}
}

// intOf is a float without fraction as an Int.
func intOf(f Float) (Int, bool) {
	if math.IsInf(float64(f), 0) || math.IsNaN(float64(f)) || math.Trunc(float64(f)) != float64(f) {
		return Int{}, false
	}
	n, _ := big.NewFloat(float64(f)).Int(nil)
	return newInt(n), true
}

// asInt takes whole numbers and, as Python does, truth values.
func asInt(v Value) (Int, bool) {
	switch v := v.(type) {
	case Int:
		return v, true
	case Bool:
		if v {
			return Int{small: 1}, true
		}
		return Int{}, true
	}
	return Int{}, false
}

func asFloat(v Value) (float64, bool) {
	if f, ok := v.(Float); ok {
		return float64(f), true
	}
	n, ok := asInt(v)
	return n.float(), ok
}

// arith computes an operator on two numbers; ok is false where one is none.
func arith(op string, a, b Value) (v Value, ok bool, err error) {
	x, xInt := asInt(a)
	y, yInt := asInt(b)
	if xInt && yInt {
		v, err := intArith(op, x, y)
		return v, true, err
	}
	f, fOK := asFloat(a)
	g, gOK := asFloat(b)
	if !fOK || !gOK {
		return nil, false, nil
	}
	v, err = floatArith(op, f, g)
	return v, true, err
}

func intArith(op string, x, y Int) (Value, error) {
	switch op {
	case "/":
		if y.big == nil && y.small == 0 {
			return nil, errZeroDivision
		}
		q, _ := new(big.Rat).SetFrac(x.wide(), y.wide()).Float64()
		switch {
		case math.IsInf(q, 0):
			return nil, errors.New("the quotient is too big for a float")
		case q == 0 && y.wide().Sign() < 0:
			q = math.Copysign(0, -1)
		}
		return Float(q), nil
	case "**":
		return intPower(x, y)
	}
	if x.big == nil && y.big == nil {
		if v, ok := smallArith(op, x.small, y.small); ok {
			return v, nil
		}
	}
	return bigArith(op, x.wide(), y.wide())
}

// smallArith is the fast way for the operators that cannot overflow on numbers
// of 31 bits.
func smallArith(op string, x, y int64) (Value, bool) {
	const half = 1 << 31
	if x <= -half || x >= half || y <= -half || y >= half {
		return nil, false
	}
	switch op {
	case "+":
		return Int{small: x + y}, true
	case "-":
		return Int{small: x - y}, true
	case "*":
		return Int{small: x * y}, true
	}
	return nil, false
}

func bigArith(op string, x, y *big.Int) (Value, error) {
	r := new(big.Int)
	switch op {
	case "+":
		r.Add(x, y)
	case "-":
		r.Sub(x, y)
	case "*":
		if x.BitLen()+y.BitLen() > maxBits {
			return nil, errTooBig
		}
		r.Mul(x, y)
	default:
		if y.Sign() == 0 {
			return nil, errZeroDivision
		}
		return floorDivide(op, x, y), nil
	}
	return newInt(r), nil
}

// floorDivide rounds down, so that the rest has the sign of the divisor.
func floorDivide(op string, x, y *big.Int) Value {
	q, m := new(big.Int).QuoRem(x, y, new(big.Int))
	if m.Sign() != 0 && m.Sign() != y.Sign() {
		q.Sub(q, big.NewInt(1))
		m.Add(m, y)
	}
	if op == "//" {
		return newInt(q)
	}
	return newInt(m)
}

func intPower(x, y Int) (Value, error) {
	if y.wide().Sign() < 0 {
		if x.wide().Sign() == 0 {
			return nil, errZeroDivision
		}
		return Float(math.Pow(x.float(), y.float())), nil
	}
	base := x.wide()
	if base.BitLen() > 1 && (y.big != nil || y.small > maxBits/int64(base.BitLen()-1)) {
		return nil, errTooBig
	}
	return newInt(new(big.Int).Exp(base, y.wide(), nil)), nil
}

func floatArith(op string, f, g float64) (Value, error) {
	switch op {
	case "+":
		return Float(f + g), nil
	case "-":
		return Float(f - g), nil
	case "*":
		return Float(f * g), nil
	case "**":
		return floatPower(f, g)
	}
	if g == 0 {
		return nil, errZeroDivision
	}
	if op == "/" {
		return Float(f / g), nil
	}
	q, m := floorMod(f, g)
	if op == "%" {
		return Float(m), nil
	}
	return Float(q), nil
}

// floorMod rounds the quotient down. The rest comes first and the quotient from
// it, as in Python, so that both agree to the last bit.
func floorMod(f, g float64) (q, m float64) {
	m = math.Mod(f, g)
	q = (f - m) / g
	switch {
	case m == 0:
		m = math.Copysign(0, g)
	case (m < 0) != (g < 0):
		m += g
		q--
	}
	if q == 0 {
		return math.Copysign(0, f/g), m
	}
	whole := math.Floor(q)
	if q-whole > 0.5 {
		whole++
	}
	return whole, m
}

func floatPower(f, g float64) (Value, error) {
	p := math.Pow(f, g)
	switch {
	case f == 0 && g < 0:
		return nil, errZeroDivision
	case math.IsNaN(p) && !math.IsNaN(f) && !math.IsNaN(g):
		return nil, errors.New("the power of a negative number to a fraction is not a real number")
	case math.IsInf(p, 0) && !math.IsInf(f, 0) && !math.IsInf(g, 0):
		return nil, errors.New("the power is too big for a float")
	}
	return Float(p), nil
}

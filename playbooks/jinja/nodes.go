package jinja

// expr is a parsed expression.
type expr interface {
	eval(r *renderer) (Value, error)
	where() span
}

// stmt is a parsed piece of a template: text, output or a tag.
type stmt interface {
	exec(r *renderer) error
}

func (s span) where() span { return s }

type (
	literal struct {
		span
		value Value
	}
	nameExpr struct {
		span
		name string
	}
	attrExpr struct {
		span
		of   expr
		name string
	}
	indexExpr struct {
		span
		of, key expr
	}
	sliceExpr struct {
		span
		of              expr
		low, high, step expr // nil where not written
	}
	listExpr struct {
		span
		items []expr
	}
	tupleExpr struct {
		span
		items []expr
	}
	dictExpr struct {
		span
		keys, values []expr
	}
	signExpr struct {
		span
		minus bool
		of    expr
	}
	notExpr struct {
		span
		of expr
	}
	// logicExpr is "and" or "or": the right side is left alone where the left
	// one decides.
	logicExpr struct {
		span
		and         bool
		left, right expr
	}
	binaryExpr struct {
		span
		op          string
		left, right expr
	}
	// compareExpr is a chain: a < b <= c.
	compareExpr struct {
		span
		first expr
		links []comparison
	}
	// concatExpr is a ~ b ~ c.
	concatExpr struct {
		span
		parts []expr
	}
	condExpr struct {
		span
		cond, then expr
		otherwise  expr // nil where not written
	}
	filterExpr struct {
		span
		of   expr // nil in a filter block, whose text is the input
		name string
		fn   *builtin
		args callArgs
	}
	testExpr struct {
		span
		of     expr
		name   string
		fn     *builtin
		args   callArgs
		negate bool
	}
	callExpr struct {
		span
		fn   expr
		args callArgs
	}
)

type comparison struct {
	op string
	to expr
}

// callArgs are the arguments of a call as written.
type callArgs struct {
	positions []expr
	names     []string // of the last len(names) values
	named     []expr
	spread    expr // *rest
	spreadMap expr // **rest
}

type (
	dataStmt   struct{ text string }
	outputStmt struct{ of expr }
	ifStmt     struct {
		conds     []expr
		bodies    [][]stmt
		otherwise []stmt
	}
	forStmt struct {
		span
		to        target
		in        expr
		keep      expr // nil without a filter
		recursive bool
		body      []stmt
		otherwise []stmt
	}
	setStmt struct {
		to    target
		value expr
	}
	// setBlock assigns the text of its body.
	setBlock struct {
		to      target
		body    []stmt
		filters []*filterExpr
	}
	withStmt struct {
		to     []target
		values []expr
		body   []stmt
	}
	filterBlock struct {
		body    []stmt
		filters []*filterExpr
	}
	macroStmt struct{ macro *macro }
	callBlock struct {
		call   *callExpr
		caller *macro
	}
)

// macro is a piece of template with a name and parameters.
type macro struct {
	span
	name     string
	params   []string
	defaults []expr // of the last len(defaults) parameters
	body     []stmt
	// What of a call's arguments the body asks for beyond its parameters.
	wantsRest, wantsNamed, wantsCaller bool
}

// target is what an assignment assigns to: a name, an attribute of a
// namespace, or several targets at once.
type target struct {
	span
	name  string
	attr  string
	parts []target
}

package sqlite

import (
	"fmt"
	"math"
	"strings"

	"github.com/FerretDB/FerretDB/internal/backends/sqlite/metadata"
	"github.com/FerretDB/FerretDB/internal/handler/sjson"
	"github.com/FerretDB/FerretDB/internal/types"
)

// mostValues is how many values one condition may list: SQLite takes 32766 arguments.
const mostValues = 5000

// candidatesClause returns a WHERE clause that leaves out documents which a filter does not match, and its arguments.
//
// FerretDB filters in SQLite by a single `_id` alone. For all other filters it would read each document of a collection,
// and filter by itself what is read. That it does after this clause too, so more may pass here than matches.
func candidatesClause(filter *types.Document) (string, []any) {
	clause, args := candidatesOfAll(filter)
	if clause == "" || len(args) > mostValues {
		return "", nil
	}

	return " WHERE " + clause, args
}

// candidatesOfAll returns the condition for all fields of a filter; empty if none of them can be told.
func candidatesOfAll(filter *types.Document) (string, []any) {
	var clauses []string
	var args []any

	for _, field := range filter.Keys() {
		value, _ := filter.Get(field)
		clause, values := candidatesOf(field, value)

		if clause != "" {
			clauses = append(clauses, clause)
			args = append(args, values...)
		}
	}

	return strings.Join(clauses, " AND "), args
}

func candidatesOf(field string, condition any) (string, []any) {
	switch {
	case field == "$and" || field == "$or":
		conditions, ok := condition.(*types.Array)
		if !ok {
			return "", nil
		}

		return candidatesOfEach(conditions, field == "$or")

	case strings.ContainsAny(field, `$."'`):
		return "", nil
	}

	values, ok := valuesOf(field, condition)
	if !ok {
		return candidatesOfRange(field, condition)
	}

	if len(values) == 0 {
		return "FALSE", nil
	}

	column := fmt.Sprintf("%s->'$.%s'", metadata.DefaultColumn, field)
	clause := column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")"

	// A list matches by what it holds; an `_id` is none.
	if field != "_id" {
		clause = fmt.Sprintf("(%s OR %s LIKE '[%%')", clause, column)
	}

	return clause, values
}

// comparisons are the operators of ranges, as SQLite has them.
var comparisons = map[string]string{"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}

// candidatesOfRange returns the condition for a range of numbers, which passes lists and documents, too; empty for others.
func candidatesOfRange(field string, condition any) (string, []any) {
	operators, ok := condition.(*types.Document)
	if !ok {
		return "", nil
	}

	column := fmt.Sprintf("%s->>'$.%s'", metadata.DefaultColumn, field)

	var clauses []string
	var args []any

	for _, operator := range operators.Keys() {
		value, _ := operators.Get(operator)
		bound, ok := whole(value)

		if comparison := comparisons[operator]; ok && comparison != "" {
			clauses = append(clauses, column+" "+comparison+" ?")
			args = append(args, bound)
		}
	}

	if len(clauses) == 0 {
		return "", nil
	}

	return fmt.Sprintf("(%s OR %s LIKE '[%%' OR %[2]s LIKE '{%%')", strings.Join(clauses, " AND "), column), args
}

func candidatesOfEach(conditions *types.Array, isOr bool) (string, []any) {
	var clauses []string
	var args []any

	for i := 0; i < conditions.Len(); i++ {
		var clause string
		var values []any

		condition, _ := conditions.Get(i)
		if filter, ok := condition.(*types.Document); ok {
			clause, values = candidatesOfAll(filter)
		}

		if clause == "" {
			if isOr {
				return "", nil
			}

			continue
		}

		clauses = append(clauses, "("+clause+")")
		args = append(args, values...)
	}

	if len(clauses) == 0 {
		return "", nil
	}

	if isOr {
		return "(" + strings.Join(clauses, " OR ") + ")", args
	}

	return strings.Join(clauses, " AND "), args
}

// valuesOf returns the values that a condition lets pass, as JSON; false if there may be others.
func valuesOf(field string, condition any) ([]any, bool) {
	operators, ok := condition.(*types.Document)
	if !ok {
		return inJSON(condition)
	}

	if value, err := operators.Get("$in"); err == nil {
		if list, ok := value.(*types.Array); ok {
			return inJSON(elements(list)...)
		}

		return nil, false
	}

	// Of ranges, those of ids have both ends, and nothing but whole numbers in between.
	from, errFrom := operators.Get("$gte")
	to, errTo := operators.Get("$lte")

	if field != "_id" || errFrom != nil || errTo != nil {
		return nil, false
	}

	return between(from, to)
}

func elements(list *types.Array) []any {
	values := make([]any, list.Len())

	for i := range values {
		values[i], _ = list.Get(i)
	}

	return values
}

// between returns all whole numbers of a range.
func between(from, to any) ([]any, bool) {
	first, ok := whole(from)
	if !ok {
		return nil, false
	}

	last, ok := whole(to)
	if !ok || last-first >= mostValues {
		return nil, false
	}

	var numbers []any
	for number := first; number <= last; number++ {
		numbers = append(numbers, number)
	}

	return inJSON(numbers...)
}

// inJSON returns values as a document has them; false if one of them may stand there in several ways.
func inJSON(values ...any) ([]any, bool) {
	texts := make([]any, len(values))

	for i, value := range values {
		if _, ok := whole(value); !ok {
			switch value.(type) {
			case string, types.ObjectID:
			default:
				return nil, false
			}
		}

		text, err := sjson.MarshalSingleValue(value)
		if err != nil {
			return nil, false
		}

		texts[i] = string(text)
	}

	return texts, true
}

// whole returns a number as an integer, if it is one that all types of numbers can tell.
func whole(value any) (int64, bool) {
	const largest = 1 << 53

	switch value := value.(type) {
	case int32:
		return int64(value), true
	case int64:
		return value, value >= -largest && value <= largest
	case float64:
		return int64(value), value == math.Trunc(value) && math.Abs(value) <= largest
	default:
		return 0, false
	}
}

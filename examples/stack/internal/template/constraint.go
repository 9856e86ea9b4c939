package template

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// constraint is one constraint of a parameter.
type constraint struct {
	description string
	holds       func(v any) error
}

// validate checks v against the constraints.
func (p *Parameter) validate(v any) error {
	for _, c := range p.constraints {
		err := c.holds(v)
		if err != nil && c.description != "" {
			return fmt.Errorf("%w: %s", err, c.description)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makers make constraints of HOT from what is given for their key.
var makers = map[string]func(*Value) (func(any) error, error){
	"length":            lengthWithin,
	"range":             within,
	"modulo":            modulo,
	"allowed_values":    allowedValues,
	"allowed_pattern":   allowedPattern,
	"custom_constraint": func(*Value) (func(any) error, error) { return func(any) error { return nil }, nil }, // only a cloud knows
}

// readConstraints reads the constraints of a parameter of HOT.
func readConstraints(v *Value) ([]constraint, error) {
	if v == nil || v.kind == scalarKind && v.scalar == nil {
		return nil, nil
	}
	if v.kind != listKind {
		return nil, errors.New("constraints must be a list")
	}
	var list []constraint
	for _, item := range v.list {
		var c constraint
		if d := item.get("description"); d != nil {
			c.description, _ = d.text()
		}
		for _, e := range item.entries {
			if e.key == "description" {
				continue
			}
			maker := makers[e.key]
			if maker == nil {
				return nil, fmt.Errorf("unknown constraint %q%s", e.key, didYouMean(e.key, keysOf(makers)))
			}
			var err error
			if c.holds, err = maker(e.value); err != nil {
				return nil, fmt.Errorf("%s: %w", e.key, err)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// readFlat reads the constraints of CloudFormation's language, which are keys
// of the parameter itself.
func readFlat(fields map[string]entry) ([]constraint, error) {
	limits := func(low, high string) *Value {
		v := &Value{kind: mapKind}
		if f := fields[low].value; f != nil {
			v.entries = append(v.entries, entry{"min", 0, f})
		}
		if f := fields[high].value; f != nil {
			v.entries = append(v.entries, entry{"max", 0, f})
		}
		if len(v.entries) == 0 {
			return nil
		}
		return v
	}
	given := []struct {
		name  string
		value *Value
	}{
		{"range", limits("min_value", "max_value")},
		{"length", limits("min_length", "max_length")},
		{"allowed_values", fields["allowed_values"].value},
		{"allowed_pattern", fields["allowed_pattern"].value},
	}
	var list []constraint
	for _, g := range given {
		if g.value == nil {
			continue
		}
		holds, err := makers[g.name](g.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		list = append(list, constraint{literal(fields, "constraint_description"), holds})
	}
	return list, nil
}

// within wants a number between the min and max of v.
func within(v *Value) (func(any) error, error) {
	check, err := bounds(v)
	return func(v any) error {
		n, err := number(v)
		if err != nil {
			return err
		}
		if err := check(n); err != nil {
			return fmt.Errorf("%s %w", Text(v), err)
		}
		return nil
	}, err
}

// lengthWithin wants so many characters, items or keys.
func lengthWithin(v *Value) (func(any) error, error) {
	check, err := bounds(v)
	return func(v any) error {
		n := 0
		switch v := v.(type) {
		case []any:
			n = len(v)
		case map[string]any:
			n = len(v)
		default:
			n = utf8.RuneCountInString(Text(v))
		}
		if err := check(int64(n)); err != nil {
			return fmt.Errorf("the length of %q %w", Text(v), err)
		}
		return nil
	}, err
}

// bounds returns a check of a number against the min and max of v.
func bounds(v *Value) (func(n any) error, error) {
	limits := map[string]any{}
	for _, e := range v.entries {
		limit, err := number(e.value.scalar)
		if err != nil || e.key != "min" && e.key != "max" {
			return nil, errors.New("needs numbers for min and max")
		}
		limits[e.key] = limit
	}
	if len(limits) == 0 {
		return nil, errors.New("needs min or max")
	}
	return func(n any) error {
		x, ok := rational(n)
		if !ok {
			return errors.New("is not a finite number")
		}
		if low, ok := rational(limits["min"]); ok && x.Cmp(low) < 0 {
			return fmt.Errorf("is below %s", Text(limits["min"]))
		}
		if high, ok := rational(limits["max"]); ok && x.Cmp(high) > 0 {
			return fmt.Errorf("is above %s", Text(limits["max"]))
		}
		return nil
	}, nil
}

// modulo wants a whole number that is offset more than a multiple of step.
func modulo(v *Value) (func(any) error, error) {
	var step, offset int64
	for _, e := range v.entries {
		n, ok := e.value.scalar.(int64)
		switch {
		case ok && e.key == "step":
			step = n
		case ok && e.key == "offset":
			offset = n
		default:
			return nil, errors.New("needs whole numbers for step and offset")
		}
	}
	if step == 0 {
		return nil, errors.New("step cannot be 0")
	}
	return func(v any) error {
		n, err := number(v)
		i, isInt := n.(int64)
		if err != nil || !isInt || (i-offset)%step != 0 {
			return fmt.Errorf("%s is not %d more than a multiple of %d", Text(v), offset, step)
		}
		return nil
	}, nil
}

// allowedValues wants one of the values; of each item if it is a list.
func allowedValues(v *Value) (func(any) error, error) {
	if v.kind != listKind {
		return nil, errors.New("must be a list")
	}
	allowed := map[string]bool{}
	var texts []string
	for _, item := range v.list {
		allowed[Text(item.scalar)] = true
		texts = append(texts, Text(item.scalar))
	}
	return func(v any) error {
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		for _, item := range list {
			if !allowed[Text(item)] {
				return fmt.Errorf("%q is not one of %s", Text(item), strings.Join(texts, ", "))
			}
		}
		return nil
	}, nil
}

// namedReference is how Python refers to what a named group has matched.
var namedReference = regexp.MustCompile(`\(\?P=(\w+)\)`)

// allowedPattern wants a text that a regular expression matches as a whole. As
// in Python, an expression can look ahead; it has a second for it.
func allowedPattern(v *Value) (func(any) error, error) {
	pattern, ok := v.text()
	if !ok {
		return nil, errors.New("must be a string")
	}
	re, err := regexp2.Compile(namedReference.ReplaceAllString(pattern, `\k<$1>`), regexp2.RE2)
	if err != nil {
		return nil, err
	}
	re.MatchTimeout = time.Second
	return func(v any) error {
		text := Text(v)
		match, err := re.FindStringMatch(text)
		switch {
		case err != nil:
			return fmt.Errorf("allowed_pattern: %w", err)
		case match == nil || match.Index != 0 || match.Length != utf8.RuneCountInString(text):
			return fmt.Errorf("%q does not match %s", text, pattern)
		}
		return nil
	}, nil
}

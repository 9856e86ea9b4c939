package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Parameter is the declaration of a parameter.
type Parameter struct {
	Name        string
	Type        string // string, number, json, comma_delimited_list or boolean
	Description string
	Line        int

	fallback    *Value // the default; nil: none
	constraints []*Value
}

var parameterTypes = []string{"string", "number", "json", "comma_delimited_list", "boolean"}

func (p *parser) parameters(r *reader, n *yaml.Node) {
	for _, e := range p.named(r, "parameters", n) {
		p.parameter(e)
	}
}

func (p *parser) parameter(e entry) {
	par := &Parameter{Name: e.key, Line: e.line, fallback: e.value.get("default")}
	if t := e.value.get("type"); t != nil {
		par.Type, _ = t.text()
	}
	if d := e.value.get("description"); d != nil {
		par.Description, _ = d.text()
	}
	if c := e.value.get("constraints"); c != nil {
		par.constraints = c.list
	}
	if !slices.Contains(parameterTypes, par.Type) {
		p.errs.add(e.line, "", "parameter %q: type must be one of %s", e.key, strings.Join(parameterTypes, ", "))
	}
	p.t.Parameters = append(p.t.Parameters, par)
}

// convert turns a given value, or the default, into one of the parameter's type.
func (p *Parameter) convert(given any) (any, error) {
	text, isText := given.(string)
	switch p.Type {
	case "number":
		return number(given)
	case "boolean":
		return boolean(given)
	case "comma_delimited_list":
		if isText {
			if text == "" {
				return []any{}, nil
			}
			var list []any
			for part := range strings.SplitSeq(text, ",") {
				list = append(list, part)
			}
			return list, nil
		}
		if _, ok := given.([]any); !ok {
			return nil, fmt.Errorf("%v is not a list", given)
		}
		return given, nil
	case "json":
		if !isText {
			return given, nil
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		return v, nil
	}
	return Text(given), nil
}

func number(v any) (any, error) {
	switch n := v.(type) {
	case int64, float64:
		return n, nil
	case string:
		if i, err := strconv.ParseInt(n, 10, 64); err == nil {
			return i, nil
		}
		if f, err := strconv.ParseFloat(n, 64); err == nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%q is not a number", Text(v))
}

func boolean(v any) (any, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	switch strings.ToLower(Text(v)) {
	case "t", "true", "on", "y", "yes", "1":
		return true, nil
	case "f", "false", "off", "n", "no", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is not a boolean", Text(v))
}

// validate checks v against the constraints.
func (p *Parameter) validate(v any) error {
	for _, c := range p.constraints {
		if c.kind != mapKind {
			continue
		}
		if err := constrain(c, v); err != nil {
			if d := c.get("description"); d != nil {
				if text, ok := d.text(); ok {
					return fmt.Errorf("%w: %s", err, text)
				}
			}
			return err
		}
	}
	return nil
}

func constrain(c *Value, v any) error {
	text := Text(v)
	if l := c.get("length"); l != nil {
		if err := within(l, float64(len(text))); err != nil {
			return fmt.Errorf("the length of %q %w", text, err)
		}
	}
	if r := c.get("range"); r != nil {
		if n, err := number(v); err == nil {
			if err := within(r, toFloat(n)); err != nil {
				return fmt.Errorf("%s %w", text, err)
			}
		}
	}
	if a := c.get("allowed_values"); a != nil && a.kind == listKind {
		allowed := make([]string, len(a.list))
		for i, item := range a.list {
			allowed[i] = Text(item.scalar)
		}
		if !slices.Contains(allowed, text) {
			return fmt.Errorf("%q is not one of %s", text, strings.Join(allowed, ", "))
		}
	}
	if a := c.get("allowed_pattern"); a != nil {
		pattern, _ := a.text()
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return fmt.Errorf("allowed_pattern: %w", err)
		}
		if !re.MatchString(text) {
			return fmt.Errorf("%q does not match %s", text, pattern)
		}
	}
	return nil
}

// within checks n against the min and max of a constraint.
func within(limits *Value, n float64) error {
	if low := limits.get("min"); low != nil {
		if l, err := number(low.scalar); err == nil && n < toFloat(l) {
			return fmt.Errorf("is below %s", Text(low.scalar))
		}
	}
	if high := limits.get("max"); high != nil {
		if h, err := number(high.scalar); err == nil && n > toFloat(h) {
			return fmt.Errorf("is above %s", Text(high.scalar))
		}
	}
	return nil
}

func toFloat(v any) float64 {
	switch n := v.(type) {
	case int64:
		return float64(n)
	case float64:
		return n
	}
	return 0
}

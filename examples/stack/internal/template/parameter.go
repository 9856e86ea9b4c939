package template

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Parameter is the declaration of a parameter.
type Parameter struct {
	Name        string
	Type        string // string, number, json, comma_delimited_list or boolean
	Description string
	Hidden      bool // its value is a secret
	Line        int

	fallback    *Value // the default; nil: none
	constraints []constraint
}

// parameterTypes are the types by the names that the two languages have.
var parameterTypes = []key{
	{"string", "String", nil},
	{"number", "Number", nil},
	{"json", "Json", nil},
	{"comma_delimited_list", "CommaDelimitedList", nil},
	{"boolean", "Boolean", nil},
}

func (p *parser) parameters(section pair) {
	for _, par := range p.named(section) {
		if !isMap(par.node) {
			p.errs.add(par.line, "", "parameter %q: must be a map with a type", par.key)
			continue
		}
		p.parameter(par)
	}
}

func (p *parser) parameter(of pair) {
	fields := p.fields(of, "", parameterKeys, nil)
	types := p.t.version.names(parameterTypes)
	par := &Parameter{
		Name: of.key, Line: of.line, Type: types[literal(fields, "type")],
		Description: literal(fields, "description"), fallback: fields["default"].value,
	}
	if par.Type == "" {
		p.errs.add(of.line, "", "parameter %q: type must be one of %s", of.key, p.t.version.list(parameterTypes))
	}
	if hidden := fields["hidden"].value; hidden != nil {
		par.Hidden, _ = boolean(hidden.scalar)
	}
	var err error
	if p.t.version.isCFN() {
		par.constraints, err = readFlat(fields)
	} else {
		par.constraints, err = readConstraints(fields["constraints"].value)
	}
	if err != nil {
		p.errs.add(of.line, "", "parameter %q: %v", of.key, err)
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
		b, err := boolean(given)
		return b, err
	case "comma_delimited_list":
		return commaList(given)
	case "json":
		switch {
		case !isText:
			return given, nil
		case text == "":
			return map[string]any{}, nil
		}
		v, err := ParseJSON(text)
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		return v, nil
	}
	return Text(given), nil
}

func commaList(given any) (any, error) {
	list := []any{}
	switch given := given.(type) {
	case []any:
		for _, item := range given {
			list = append(list, Text(item))
		}
	case string:
		if given == "" {
			break
		}
		for part := range strings.SplitSeq(given, ",") {
			list = append(list, part)
		}
	default:
		return nil, fmt.Errorf("%q is not a list", Text(given))
	}
	return list, nil
}

func number(v any) (any, error) {
	if _, isNumber := rational(v); isNumber {
		return v, nil
	}
	if text, ok := v.(string); ok {
		text = strings.TrimSpace(text)
		if i, ok := new(big.Int).SetString(text, 10); ok {
			return whole(i), nil
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%q is not a number", Text(v))
}

func boolean(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	switch text := strings.ToLower(Text(v)); {
	case slices.Contains([]string{"t", "true", "on", "y", "yes", "1"}, text):
		return true, nil
	case slices.Contains([]string{"f", "false", "off", "n", "no", "0"}, text):
		return false, nil
	}
	return false, fmt.Errorf("%q is not a boolean", Text(v))
}

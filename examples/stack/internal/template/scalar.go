package template

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// scalar reads a plain value as YAML 1.1 does, which Heat uses: yes and off are
// booleans, 0644 is octal, 1:30 is 90. Dates stay as they are written, as in
// heat_template_version.
func scalar(n *yaml.Node) any {
	const written = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	if n.Style&yaml.TaggedStyle != 0 {
		return tagged(n)
	}
	if n.Style&written != 0 {
		return n.Value
	}
	return resolve(n.Value)
}

// tagged reads a value with an explicit tag, such as !!str 12.
func tagged(n *yaml.Node) any {
	v := resolve(n.Value)
	switch n.ShortTag() {
	case "!!str":
		return n.Value
	case "!!null":
		return nil
	case "!!float":
		if i, ok := v.(int64); ok {
			return float64(i)
		}
	}
	return v
}

var (
	yamlInt = regexp.MustCompile(`^[-+]?(0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$`)
	// The exponent of a float has a sign, and a float has a point: 1e5 is a string.
	yamlFloat = regexp.MustCompile(`^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)$`)
)

// resolve finds out what kind of value an unquoted text is.
func resolve(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	}
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case ".inf":
		return math.Inf(1 - 2*strings.Count(text[:1], "-"))
	}
	digits := strings.ReplaceAll(text, "_", "")
	switch {
	case yamlInt.MatchString(text) && strings.Contains(text, ":"):
		return int64(sexagesimal(digits))
	case yamlInt.MatchString(text):
		if i, ok := integer(digits); ok {
			return i
		}
	case yamlFloat.MatchString(text) && strings.Contains(text, ":"):
		return sexagesimal(digits)
	case yamlFloat.MatchString(text):
		if f, err := strconv.ParseFloat(digits, 64); err == nil {
			return f
		}
	}
	return text
}

// integer reads an integer, in any base that its prefix says.
func integer(digits string) (any, bool) {
	i, ok := new(big.Int).SetString(digits, 0)
	if !ok {
		return nil, false
	}
	return whole(i), true
}

// whole is an int64 if i is not too large for one.
func whole(i *big.Int) any {
	if i.IsInt64() {
		return i.Int64()
	}
	return i
}

// sexagesimal reads hours, minutes and seconds as a number of seconds.
func sexagesimal(text string) float64 {
	sign := 1.0
	if strings.HasPrefix(text, "-") {
		sign = -1
	}
	total := 0.0
	for part := range strings.SplitSeq(strings.TrimLeft(text, "+-"), ":") {
		n, _ := strconv.ParseFloat(part, 64)
		total = total*60 + n
	}
	return sign * total
}

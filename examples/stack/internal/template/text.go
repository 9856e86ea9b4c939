package template

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Text returns v as Heat writes it into a string: True and False, lists and
// maps as [JSON], nothing for nil.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case StandIn:
		return string(v)
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return floatText(v, "inf", "nan")
	case []any, map[string]any:
		return JSON(v)
	}
	return fmt.Sprint(v)
}

// JSON returns v as JSON in the form that Heat gives it: sorted keys, a blank
// after commas and colons, and ASCII only.
func JSON(v any) string {
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

func writeJSON(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case string:
		writeQuoted(b, v)
	case StandIn:
		writeQuoted(b, string(v))
	case float64:
		b.WriteString(floatText(v, "Infinity", "NaN"))
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			writeQuoted(b, k)
			b.WriteString(": ")
			writeJSON(b, v[k])
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v) // numbers
	}
}

func writeQuoted(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}

// floatText writes the fewest digits that give f again, and always a point or
// an exponent.
func floatText(f float64, infinity, nan string) string {
	switch {
	case math.IsNaN(f):
		return nan
	case math.IsInf(f, 1):
		return infinity
	case math.IsInf(f, -1):
		return "-" + infinity
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// ParseJSON reads JSON. Whole numbers stay whole.
func ParseJSON(text string) (any, error) {
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	err := decoder.Decode(&v)
	return plain(v), err
}

// plain turns the numbers of decoded JSON into int64, *big.Int or float64.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, ok := integer(v.String()); ok {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return math.Inf(1)
		}
		return f
	case []any:
		for i, item := range v {
			v[i] = plain(item)
		}
	case map[string]any:
		for k, item := range v {
			v[k] = plain(item)
		}
	}
	return v
}

// same reports whether two values are equal. 1, 1.0 and true are, 1 and "1"
// are not.
func same(a, b any) bool {
	if x, ok := rational(a); ok {
		y, ok := rational(b)
		return ok && x.Cmp(y) == 0
	}
	switch a := a.(type) {
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, same)
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, same)
	case string:
		other, ok := b.(string)
		return ok && a == other
	case StandIn:
		other, ok := b.(StandIn)
		return ok && a == other
	}
	return a == nil && b == nil
}

// rational returns the number that v is. Booleans are 0 and 1.
func rational(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	case int64:
		return big.NewRat(v, 1), true
	case *big.Int:
		return new(big.Rat).SetInt(v), true
	case float64:
		r := new(big.Rat).SetFloat64(v)
		return r, r != nil // not for infinities
	}
	return nil, false
}

// has reports whether v is among the items.
func has(items []any, v any) bool {
	return slices.ContainsFunc(items, func(item any) bool { return same(item, v) })
}

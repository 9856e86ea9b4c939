package resource

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/steptask/scheduler/examples/stack/internal/template"
)

// Type is the type of a property.
type Type int

// The types of properties.
const (
	String Type = iota + 1
	Number
	Bool
	List
	Map
	Any
)

func (t Type) String() string {
	return [...]string{String: "a string", Number: "a number", Bool: "true or false", List: "a list", Map: "a map", Any: "anything"}[t]
}

// Property describes a property.
type Property struct {
	Type     Type
	Required bool
	Check    func(v any) error // of a value of the type; may be nil
}

// Props are the properties of a resource, with what they refer to filled in.
type Props map[string]any

// String returns a property as text; "" if it is not given.
func (p Props) String(name string) string { return template.Text(p[name]) }

// Number returns a property that is a number.
func (p Props) Number(name string, fallback float64) float64 {
	if p[name] == nil {
		return fallback
	}
	f, err := strconv.ParseFloat(p.String(name), 64)
	if err != nil {
		return fallback
	}
	return f
}

// Seconds returns a property that is a number of seconds.
func (p Props) Seconds(name string, fallback time.Duration) time.Duration {
	return seconds(p.Number(name, fallback.Seconds()))
}

// seconds is a duration, at most a century.
func seconds(s float64) time.Duration {
	const most = 100 * 365 * 24 * 3600
	if math.IsNaN(s) {
		return 0
	}
	return time.Duration(max(0, min(s, most)) * float64(time.Second))
}

// Bool returns a property that is true or false.
func (p Props) Bool(name string) bool {
	b, err := strconv.ParseBool(p.String(name))
	return err == nil && b
}

// Strings returns a property that is a list. A single value is a list of one.
func (p Props) Strings(name string) []string {
	list, isList := p[name].([]any)
	if !isList && p[name] != nil {
		list = []any{p[name]}
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = template.Text(v)
	}
	return texts
}

// Map returns a property that is a map.
func (p Props) Map(name string) Props {
	m, _ := p[name].(map[string]any)
	return m
}

// Check finds what is wrong with a value given for a property.
func (k *Kind) Check(property string, v any) error {
	def, known := k.Properties[property]
	if !known || v == nil {
		return nil
	}
	if _, unknown := v.(template.StandIn); unknown {
		return nil
	}
	if !matches(def.Type, v) {
		return fmt.Errorf("property %q must be %s, not %q", property, def.Type, template.Text(v))
	}
	if def.Check == nil {
		return nil
	}
	if err := def.Check(v); err != nil {
		return fmt.Errorf("property %q: %w", property, err)
	}
	return nil
}

func matches(t Type, v any) bool {
	text := template.Text(v)
	_, isList := v.([]any)
	_, isMap := v.(map[string]any)
	switch t {
	case String:
		return !isList && !isMap
	case Number:
		_, err := strconv.ParseFloat(text, 64)
		return err == nil
	case Bool:
		_, err := strconv.ParseBool(text)
		return err == nil
	case List:
		return isList
	case Map:
		return isMap
	default:
		return true
	}
}

// Missing returns the required properties that are not given.
func (k *Kind) Missing(given func(name string) bool) []string {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		if k.Properties[name].Required && !given(name) {
			missing = append(missing, name)
		}
	}
	return missing
}

package resource

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"path"
	"strings"
	"time"

	"github.com/steptask/scheduler"
	"github.com/steptask/scheduler/examples/stack/internal/template"
)

var valueKind = &Kind{
	Summary:    "a value, to give an expression a name",
	Properties: map[string]Property{"value": {Type: Any, Required: true}, "type": {Type: String}},
	Attributes: []string{"value"},
	Create: func(_ *scheduler.Coroutine, r *Resource) error {
		r.set(map[string]any{"value": r.Props["value"]})
		return nil
	},
}

var noneKind = &Kind{
	Summary:  "nothing, with any properties",
	AnyProps: true,
	Create:   func(*scheduler.Coroutine, *Resource) error { return nil },
}

var randomStringKind = &Kind{
	Summary: "a random string",
	Properties: map[string]Property{
		"length":              {Type: Number}, // 32
		"sequence":            {Type: String}, // a class, as in older templates
		"character_classes":   {Type: List},   // of {class, min}
		"character_sequences": {Type: List},   // of {sequence, min}
		"salt":                {Type: String},
	},
	Attributes: []string{"value"},
	Reference:  "value",
	Create: func(_ *scheduler.Coroutine, r *Resource) error {
		value, err := randomString(r.Props)
		r.set(map[string]any{"value": value})
		return err
	},
}

const (
	lower      = "abcdefghijklmnopqrstuvwxyz"
	upper      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits     = "0123456789"
	octal      = "01234567"
	hexUpper   = "0123456789ABCDEF"
	marks      = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	maxRandom  = 512
	lettersAll = lower + upper
)

var classes = map[string]string{
	"lettersdigits": lettersAll + digits, "letters": lettersAll, "lowercase": lower, "uppercase": upper,
	"digits": digits, "hexdigits": hexUpper, "octdigits": octal,
}

// randomString picks the least number from each class first, then from all of
// them together, and shuffles.
func randomString(p Props) (string, error) {
	length := int(p.Number("length", 32))
	if length < 1 || length > maxRandom {
		return "", fmt.Errorf("property \"length\" must be from 1 to %d", maxRandom)
	}
	var all strings.Builder
	var picked []byte
	for _, set := range sets(p) {
		chars := set.String("sequence")
		if class := set.String("class"); class != "" {
			if chars = classes[class]; chars == "" {
				return "", fmt.Errorf("unknown character class %q", class)
			}
		}
		for range int(set.Number("min", 1)) {
			if len(picked) > length || chars == "" {
				break
			}
			picked = append(picked, chars[random(len(chars))])
		}
		all.WriteString(chars)
	}
	if len(picked) > length || all.Len() == 0 {
		return "", errors.New("the character classes require more characters than length allows")
	}
	for len(picked) < length {
		picked = append(picked, all.String()[random(all.Len())])
	}
	for i := len(picked) - 1; i > 0; i-- {
		j := random(i + 1)
		picked[i], picked[j] = picked[j], picked[i]
	}
	return string(picked), nil
}

// sets returns where the characters come from, each a map with class or
// sequence, and min.
func sets(p Props) []Props {
	var all []Props
	for _, name := range []string{"character_classes", "character_sequences"} {
		list, _ := p[name].([]any)
		for _, item := range list {
			m, _ := item.(map[string]any)
			all = append(all, m)
		}
	}
	if len(all) > 0 {
		return all
	}
	class := p.String("sequence")
	if class == "" {
		class = "lettersdigits"
	}
	return []Props{{"class": class}}
}

// random returns a number below n. It cannot fail: crypto/rand ends the program
// rather than give less.
func random(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err)
	}
	return int(i.Int64())
}

var testKind = &Kind{
	Summary: "a resource for tests, as in Heat: it takes its time, and fails if told to",
	Properties: map[string]Property{
		"value":            {Type: Any},
		"fail":             {Type: Bool},
		"wait_secs":        {Type: Number},
		"action_wait_secs": {Type: Map}, // create and delete
		"update_replace":   {Type: Bool},
	},
	Attributes: []string{"output"},
	Create: func(co *scheduler.Coroutine, r *Resource) error {
		if err := r.Intend(co, "begin", mayBeThere); err != nil {
			return err
		}
		if err := r.testWait(co, "create"); err != nil {
			return err
		}
		if r.Props.Bool("fail") {
			return errors.New("it was told to fail")
		}
		r.set(map[string]any{"output": r.Props["value"]})
		return nil
	},
	Delete: func(co *scheduler.Coroutine, r *Resource) error { return r.testWait(co, "delete") },
}

func (r *Resource) testWait(co *scheduler.Coroutine, action string) error {
	return co.Yield(scheduler.After(r.Props.Map("action_wait_secs").Seconds(action, r.Props.Seconds("wait_secs", 0))))
}

// StandIn returns a type that takes the place of any other in a simulation: it
// has every property and attribute, and takes its time.
func StandIn(create, destroy time.Duration) *Kind {
	return &Kind{
		Summary:  "a stand-in",
		AnyProps: true,
		Create: func(co *scheduler.Coroutine, r *Resource) error {
			if err := r.Intend(co, "begin", mayBeThere); err != nil {
				return err
			}
			return co.Yield(scheduler.After(create))
		},
		Delete: func(co *scheduler.Coroutine, _ *Resource) error { return co.Yield(scheduler.After(destroy)) },
	}
}

// StandInAttribute is what a stand-in has for an attribute.
func StandInAttribute(resource, attribute string) template.StandIn {
	if attribute == "" {
		return template.StandIn(resource)
	}
	return template.StandIn(resource + "." + attribute)
}

// Times says how long stand-ins take: by type, or by a pattern of types.
type Times []TimeRule

// TimeRule is the time of the types that a pattern matches.
type TimeRule struct {
	Pattern string // as of path.Match; a type has no slash
	Time    time.Duration
}

// DefaultTimes are rough times of a real cloud.
var DefaultTimes = Times{
	{"OS::Nova::Server", 40 * time.Second},
	{"OS::Nova::ServerGroup", time.Second},
	{"OS::Nova::*", 5 * time.Second},
	{"OS::Cinder::Volume", 12 * time.Second},
	{"OS::Cinder::*", 6 * time.Second},
	{"OS::Neutron::RouterInterface", 4 * time.Second},
	{"OS::Neutron::*", 2 * time.Second},
	{"OS::Octavia::LoadBalancer", 60 * time.Second},
	{"OS::Octavia::*", 8 * time.Second},
	{"OS::Heat::SoftwareDeployment*", 30 * time.Second},
	{"OS::Heat::WaitCondition", 90 * time.Second},
	{"OS::Heat::*Group", 45 * time.Second},
	{"OS::Heat::*", time.Second},
	{"OS::Trove::*", 120 * time.Second},
	{"OS::Magnum::*", 300 * time.Second},
	{"OS::Sahara::*", 240 * time.Second},
	{"Local::Process", 3 * time.Second},
	{"*.yaml", 60 * time.Second},
	{"*", time.Second},
}

// ParseTimes reads rules such as "OS::Nova::Server=40s,OS::Neutron::*=2s". They
// come before the defaults.
func ParseTimes(text string) (Times, error) {
	var times Times
	for rule := range strings.SplitSeq(text, ",") {
		if rule = strings.TrimSpace(rule); rule == "" {
			continue
		}
		pattern, value, _ := strings.Cut(rule, "=")
		d, err := time.ParseDuration(value)
		if _, bad := path.Match(pattern, ""); err != nil || bad != nil || d < 0 {
			return nil, fmt.Errorf("%q is not a type and a time, such as OS::Nova::*=5s", rule)
		}
		times = append(times, TimeRule{pattern, d})
	}
	return append(times, DefaultTimes...), nil
}

// Of returns the time of a type. Deleting takes a quarter of it.
func (t Times) Of(typ string) (create, destroy time.Duration) {
	typ = strings.ReplaceAll(typ, "/", "_")
	for _, rule := range t {
		if match, _ := path.Match(rule.Pattern, typ); match {
			return rule.Time, rule.Time / 4
		}
	}
	return 0, 0
}

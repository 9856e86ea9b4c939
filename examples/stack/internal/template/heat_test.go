package template_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/steptask/scheduler/examples/stack/internal/template"
	"github.com/stretchr/testify/require"
)

// recorded is what Heat made of a value in some versions of its language. The
// file was written by Heat 19, with its parser and its functions.
type recorded struct {
	Value    string
	Versions []string
	Result   json.RawMessage
	Refused  bool
}

// TestValues_asHeat compares values with what Heat makes of them.
func TestValues_asHeat(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/heat/values.jsonl")
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(file) {
		var r recorded
		require.NoError(t, json.Unmarshal(line, &r))
		for _, version := range r.Versions {
			if n++; testing.Short() && n%4 != 0 {
				continue
			}
			got, err := valueOf(version, r.Value)
			if r.Refused {
				require.Error(t, err, "%s in %s is %s", r.Value, version, template.JSON(got))
				continue
			}
			require.NoError(t, err, "%s in %s", r.Value, version)
			want, err := template.ParseJSON(string(r.Result))
			require.NoError(t, err)
			require.Equal(t, template.JSON(want), template.JSON(got), "%s in %s", r.Value, version)
		}
	}
	require.Greater(t, n, 1300)
}

// valueOf computes a value in a template of a version, which may be refused at
// any stage.
func valueOf(version, value string) (any, error) {
	tmpl, err := template.Parse("t.yaml", []byte(around(version, value)))
	if err != nil {
		return nil, err
	}
	stack, err := tmpl.Bind(template.Options{})
	if err != nil {
		return nil, err
	}
	return stack.Output(stack.Outputs[0], heatEnv{})
}

// heatEnv is what the recorded values had for resources.
type heatEnv struct{}

func (heatEnv) Resource(name string) (any, error) { return "id-of-" + name, nil }

func (heatEnv) Attribute(_, attribute string) (any, error) {
	if attribute == "" {
		return map[string]any{"address": "10.0.0.7"}, nil
	}
	return map[string]any{
		"address": "10.0.0.7", "ports": []any{int64(80), int64(443)}, "tags": map[string]any{"tier": "data"},
	}[attribute], nil
}

// around is a template with the value as its output.
func around(version, value string) string {
	key, date, isCFN := strings.Cut(version, ".")
	text, conditions := hotAround, ""
	switch {
	case isCFN:
		text = cfnAround
		if key == "AWSTemplateFormatVersion" {
			conditions = cfnConditions
		}
	case version >= "2016-10-14":
		conditions = hotConditions
		fallthrough
	default:
		key, date = "heat_template_version", version
	}
	return fmt.Sprintf("%s: %s", key, date) + fmt.Sprintf(text, conditions, value)
}

const hotAround = `
parameters:
  name: {type: string, default: web}
  yes_or_no: {type: string, default: yes}
  count: {type: number, default: "3"}
  half: {type: number, default: 0.5}
  zones: {type: comma_delimited_list, default: "a, b"}
  limits: {type: json, default: {cpu: {max: 4}, list: [x, y], text: "é<&>"}}
  text: {type: json, default: '{"z": 1.0, "a": [true, null, 1e20]}'}
  flag: {type: boolean, default: on}
%s
resources:
  db: {type: "OS::Heat::None"}
  other: {type: "OS::Heat::None"}
outputs:
  v:
    value: %s
`

const hotConditions = `conditions:
  big: {equals: [{get_param: count}, 3]}
  small: {not: big}
  both: {and: [big, {equals: [{get_param: name}, web]}]}
  either: {or: [small, big]}
`

const cfnAround = `
Parameters:
  name: {Type: String, Default: web}
  count: {Type: Number, Default: "3"}
  zones: {Type: CommaDelimitedList, Default: "a,b"}
Mappings:
  sizes: {small: {cpu: 1, disk: "10"}, large: {cpu: 4}}
%s
Resources:
  db: {Type: "OS::Heat::None"}
Outputs:
  v:
    Value: %s
`

const cfnConditions = `Conditions:
  big: {"Fn::Equals": [{Ref: count}, 3]}
  small: {"Fn::Not": [big]}
  both: {"Fn::And": [big, {"Fn::Equals": [{Ref: name}, web]}]}
`

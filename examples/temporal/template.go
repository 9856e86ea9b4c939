package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/steptask/scheduler/temporal"
)

// template is the part of a Heat template that there is here.
type template struct {
	Resources yaml.Node `yaml:"resources"`
}

// resource is what a template says of one.
type resource struct {
	Type       string         `yaml:"type"`
	DependsOn  []string       `yaml:"depends_on"`
	Properties map[string]any `yaml:"properties"`
}

// readTemplate makes a graph of a template: a node for each resource, in the
// template's order. The graph is the workflow's input, so the workflow goes on
// with it whatever becomes of the file.
func readTemplate(file string) (temporal.Graph, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return temporal.Graph{}, err
	}
	var t template
	if err := yaml.Unmarshal(text, &t); err != nil {
		return temporal.Graph{}, fmt.Errorf("%s: %w", file, err)
	}
	var g temporal.Graph
	for i := 0; i+1 < len(t.Resources.Content); i += 2 {
		key, value := t.Resources.Content[i], t.Resources.Content[i+1]
		node, err := readResource(key.Value, value)
		if err != nil {
			return temporal.Graph{}, fmt.Errorf("%s: resource %s: %w", file, key.Value, err)
		}
		g.Nodes = append(g.Nodes, node)
	}
	_, err = g.Dependencies() // what is required must be there
	return g, err
}

func readResource(key string, value *yaml.Node) (temporal.Node, error) {
	var r resource
	if err := value.Decode(&r); err != nil {
		return temporal.Node{}, err
	}
	input, err := json.Marshal(spec{Type: r.Type, Properties: r.Properties})
	if err != nil {
		return temporal.Node{}, err
	}
	required := append(r.DependsOn, references(r.Properties)...)
	slices.Sort(required)
	return temporal.Node{Key: key, Activity: "Create", Input: input, Requires: slices.Compact(required)}, nil
}

// references returns the resources that a value names.
func references(value any) []string {
	var found []string
	switch v := value.(type) {
	case map[string]any:
		if name, ok := v["get_resource"].(string); ok && len(v) == 1 {
			return []string{name}
		}
		for _, inner := range v { // readResource sorts them
			found = append(found, references(inner)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, references(inner)...)
		}
	}
	return found
}

// resolve puts the IDs of resources in the place of their names.
func resolve(value any, ids map[string]string) any {
	switch v := value.(type) {
	case map[string]any:
		if name, ok := v["get_resource"].(string); ok && len(v) == 1 {
			return ids[name]
		}
		resolved := make(map[string]any, len(v))
		for k, inner := range v {
			resolved[k] = resolve(inner, ids)
		}
		return resolved
	case []any:
		resolved := make([]any, len(v))
		for i, inner := range v {
			resolved[i] = resolve(inner, ids)
		}
		return resolved
	}
	return value
}

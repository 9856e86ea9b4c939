package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// keys says how the values of a mapping are read.
type keys map[string]func(n *yaml.Node) error

func ignored(*yaml.Node) error { return nil }

// eachKey reads a mapping. A key that is not known is an error, unless it begins with
// x-, which compose has for other programs.
func eachKey(n *yaml.Node, known keys) error {
	return eachEntry(n, func(key string, n *yaml.Node) error {
		read := known[key]
		switch {
		case read != nil:
			return read(n)
		case strings.HasPrefix(key, "x-"):
			return nil
		}
		return errors.New("not supported")
	})
}

// eachEntry reads a mapping, in the order of the keys. It names the key in an error.
func eachEntry(n *yaml.Node, read func(key string, n *yaml.Node) error) error {
	var m map[string]yaml.Node
	if err := n.Load(&m); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		n := m[key]
		for n.Kind == yaml.AliasNode {
			n = *n.Alias
		}
		if err := read(key, &n); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// value reads what YAML knows how to.
func value[T any](v *T) func(*yaml.Node) error {
	return func(n *yaml.Node) error { return n.Load(v) }
}

func duration(d *time.Duration) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if *d, err = time.ParseDuration(n.Value); err == nil && *d < 0 {
			err = fmt.Errorf("%v is negative", *d)
		}
		return err
	}
}

// words reads a list of words, or a text that is divided into words as a shell does.
func words(list *[]string) func(*yaml.Node) error {
	return func(n *yaml.Node) (err error) {
		if n.Kind == yaml.SequenceNode {
			return n.Load(list)
		}
		var text string
		if err := n.Load(&text); err != nil {
			return err
		}
		*list, err = split(text)
		return err
	}
}

// split divides a text into words. Quotes and backslashes keep together what is in or
// behind them.
func split(text string) (list []string, err error) {
	var (
		word   strings.Builder
		inside bool // a word
		quote  rune // or 0
		escape bool
	)
	for _, c := range text {
		switch {
		case escape:
			if quote == '"' && !strings.ContainsRune("\"\\$`\n", c) {
				word.WriteRune('\\')
			}
			word.WriteRune(c)
			escape = false
		case c == '\\' && quote != '\'':
			inside, escape = true, true
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			inside, quote = true, c
		case quote == 0 && strings.ContainsRune(" \t\r\n", c):
			if inside {
				list = append(list, word.String())
				word.Reset()
			}
			inside = false
		default:
			inside = true
			word.WriteRune(c)
		}
	}
	if quote != 0 || escape {
		return nil, fmt.Errorf("%s: a quote or a backslash without its end", text)
	}
	if inside {
		list = append(list, word.String())
	}
	return list, nil
}

// environment reads a map, or a list of NAME=value. A name alone has the value that
// the program itself has, if any.
func environment(n *yaml.Node, list *[]string, env func(string) (string, bool)) error {
	add := func(name string, value *string) {
		if value == nil {
			own, ok := env(name)
			if !ok {
				return
			}
			value = &own
		}
		*list = append(*list, name+"="+*value)
	}
	if n.Kind != yaml.SequenceNode {
		return eachEntry(n, func(name string, n *yaml.Node) error {
			var value *string
			err := n.Load(&value)
			add(name, value)
			return err
		})
	}
	var lines []string
	if err := n.Load(&lines); err != nil {
		return err
	}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, "="); ok {
			add(name, &value)
		} else {
			add(name, nil)
		}
	}
	return nil
}

// expand replaces variables in all values below a node: $NAME, ${NAME}, and
// ${NAME:-default}. $$ is a dollar.
func expand(n *yaml.Node, env func(string) (string, bool)) error {
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "$") {
		var failed error
		n.Value = os.Expand(n.Value, func(name string) string {
			value, err := variable(name, env)
			failed = errors.Join(failed, err)
			return value
		})
		if failed != nil {
			return fmt.Errorf("line %d: %w", n.Line, failed)
		}
		if n.Style == 0 {
			n.Tag = "" // it may be a number now
		}
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue // a key
		}
		if err := expand(child, env); err != nil {
			return err
		}
	}
	return nil
}

func variable(text string, env func(string) (string, bool)) (string, error) {
	if text == "$" {
		return "$", nil
	}
	name, other, hasDefault := strings.Cut(text, ":-")
	if strings.ContainsAny(name, ":-?+ ") || name == "" {
		return "", fmt.Errorf("${%s}: not supported", text)
	}
	value, ok := env(name)
	switch {
	case hasDefault && value == "":
		return other, nil
	case !hasDefault && !ok:
		return "", fmt.Errorf("${%s}: no such variable in the environment", text)
	}
	return value, nil
}

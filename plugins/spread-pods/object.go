// JSON objects that keep the order of their keys, and every number as it was written.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

type object struct {
	keys   []string
	values map[string]json.RawMessage
}

// parse reads one object. What is in it stays text until it is asked for.
func parse(text string) (*object, error) {
	parsed := &object{values: map[string]json.RawMessage{}}
	decoder := json.NewDecoder(strings.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		parsed.set(key.(string), value)
	}
	_, err := decoder.Token()
	return parsed, err
}

// child is the object at key: an empty one where there is none.
func (o *object) child(key string) (*object, error) {
	value, ok := o.values[key]
	if !ok || string(value) == "null" {
		return &object{values: map[string]json.RawMessage{}}, nil
	}
	child, err := parse(string(value))
	if err != nil {
		return nil, fmt.Errorf("%s of a manifest: %w", key, err)
	}
	return child, nil
}

// text is the text at key; empty where there is none.
func (o *object) text(key string) string {
	var text string
	_ = json.Unmarshal(o.values[key], &text) // what is no text is none
	return text
}

// set puts a value at key: at its place where there was one, else at the end.
func (o *object) set(key string, value any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = encode(value)
}

func (o *object) MarshalJSON() ([]byte, error) { return []byte(o.String()), nil }

func (o *object) String() string {
	var out strings.Builder
	out.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(encode(key))
		out.WriteByte(':')
		out.Write(o.values[key])
	}
	out.WriteByte('}')
	return out.String()
}

// encode is json.Marshal without its escapes for web pages.
func encode(value any) json.RawMessage {
	switch value := value.(type) {
	case json.RawMessage:
		return value
	case *object:
		return json.RawMessage(value.String())
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // texts, numbers, lists and maps always can
	}
	return bytes.TrimSpace(out.Bytes())
}

func sorted[V any](of map[string]V) []string {
	keys := make([]string, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// The boundary between this plugin and reeve: package reeve:plugin@0.1.0, world transformer, by hand.
//
// Nothing here needs a change. It turns what the host hands over into Go's own types and back, as the component
// model's canonical ABI lays them out in memory.

package main

import (
	"fmt"
	"unsafe"
)

// Level says how much a line of the log matters.
type Level uint32

const (
	Debug Level = iota // for the plugin's author
	Info               // what was done
	Warn               // what the tenant should look at, though it worked
	Error              // what went wrong
)

// ObjectID says which object an objection is about. Namespace is empty for cluster-scoped objects.
type ObjectID struct{ APIVersion, Kind, Namespace, Name string }

// Objection is one thing that is wrong with one object. Field is a path from its root.
type Objection struct {
	Object         ObjectID
	Field, Message string
}

// Refusal is this plugin's "no": the tenant reads it. Objects is empty when it is about the config.
type Refusal struct {
	Message string
	Objects []Objection
}

// Log says one line. It must not hold secrets.
func Log(level Level, format string, values ...any) {
	message := fmt.Sprintf(format, values...)
	log(uint32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

// Every call is a fresh instance, which ends with the call: what the host must find is kept until then.
var kept []any

//go:wasmimport reeve:plugin/log@0.1.0 log
func log(level uint32, message unsafe.Pointer, length uint32)

//go:wasmexport reeve:plugin/transform@0.1.0#transform
func exported(manifests unsafe.Pointer, count uint32, config unsafe.Pointer, length uint32) unsafe.Pointer {
	defer func() {
		if why := recover(); why != nil {
			Log(Error, "panic: %v", why)
			panic(why)
		}
	}()
	var given []string
	for _, one := range unsafe.Slice((*text)(manifests), count) {
		given = append(given, unsafe.String((*byte)(unsafe.Pointer(uintptr(one.data))), one.length))
	}
	made, refusal := transform(given, unsafe.String((*byte)(config), length))
	answer := new(struct {
		refused uint32
		first   list // the manifests, or the refusal's message
		objects list
	})
	if refusal != nil {
		answer.refused = 1
		answer.first = list(lower(refusal.Message))
		answer.objects = objections(refusal.Objects)
	} else {
		answer.first = texts(made)
	}
	kept = append(kept, answer)
	return unsafe.Pointer(answer)
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(uintptr(align))
	}
	// Words, so that it lies well for everything that has to be aligned.
	memory := make([]uint64, (size+7)/8)
	kept = append(kept, memory)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&memory[0])), size), unsafe.Slice((*byte)(old), oldSize))
	}
	return unsafe.Pointer(&memory[0])
}

// How the component model lays out a text and a list: addresses of 32 bits, which Go's pointers are not.
type text struct{ data, length uint32 }
type list struct{ data, length uint32 }
type objection struct{ apiVersion, kind, namespace, name, field, message text }

func lower(said string) text {
	kept = append(kept, unsafe.StringData(said))
	return text{address(unsafe.Pointer(unsafe.StringData(said))), uint32(len(said))}
}

func texts(said []string) list {
	out := make([]text, len(said))
	for i, one := range said {
		out[i] = lower(one)
	}
	kept = append(kept, out)
	return list{address(unsafe.Pointer(unsafe.SliceData(out))), uint32(len(out))}
}

func objections(said []Objection) list {
	out := make([]objection, len(said))
	for i, one := range said {
		out[i] = objection{
			lower(one.Object.APIVersion), lower(one.Object.Kind), lower(one.Object.Namespace), lower(one.Object.Name),
			lower(one.Field), lower(one.Message),
		}
	}
	kept = append(kept, out)
	return list{address(unsafe.Pointer(unsafe.SliceData(out))), uint32(len(out))}
}

func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func main() {}

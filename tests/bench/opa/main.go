// Command opa asks OPA's library the same question again and again: opa DIR INPUT QUERY SECONDS prints, in microseconds and
// questions a second, p50 and p99 of one thread and the rates of one and of two. The query is prepared once; the input is
// given as Go values, as a caller has it, and converted each time.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("opa DIR INPUT QUERY SECONDS")
	}
	seconds, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	var input any
	if err := json.Unmarshal(text, &input); err != nil {
		return err
	}
	ctx := context.Background()
	query, err := rego.New(rego.Query(args[2]), rego.Load([]string{args[0]}, nil)).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	ask := func() (time.Duration, error) {
		begun := time.Now()
		result, err := query.Eval(ctx, rego.EvalInput(input))
		took := time.Since(begun)
		if err == nil && len(result) != 1 {
			err = fmt.Errorf("%d results", len(result))
		}
		return took, err
	}
	result, err := query.Eval(ctx, rego.EvalInput(input))
	if err != nil {
		return err
	}
	answer, err := json.Marshal(result[0].Expressions[0].Value)
	if err != nil {
		return err
	}
	while := time.Duration(seconds) * time.Second
	one, times, err := rate(1, while, ask)
	if err != nil {
		return err
	}
	two, _, err := rate(2, while, ask)
	if err != nil {
		return err
	}
	slices.Sort(times)
	at := func(percent int) int64 { return times[(len(times)*percent+99)/100-1].Microseconds() }
	fmt.Printf("%d %d %.0f %.0f\n%s\n", at(50), at(99), one, two, answer)
	return nil
}

// rate asks in so many threads for so long.
func rate(threads int, while time.Duration, ask func() (time.Duration, error)) (float64, []time.Duration, error) {
	runtime.GOMAXPROCS(threads)
	var (
		group sync.WaitGroup
		lock  sync.Mutex
		all   []time.Duration
		wrong error
	)
	begun := time.Now()
	for range threads {
		group.Go(func() {
			var times []time.Duration
			var err error
			for err == nil && time.Since(begun) < while {
				var took time.Duration
				if took, err = ask(); err == nil {
					times = append(times, took)
				}
			}
			lock.Lock()
			defer lock.Unlock()
			all = append(all, times...)
			if err != nil {
				wrong = err
			}
		})
	}
	group.Wait()
	return float64(len(all)) / time.Since(begun).Seconds(), all, wrong
}

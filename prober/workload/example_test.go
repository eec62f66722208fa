package workload_test

import (
	"fmt"
	"time"

	"github.com/llmprober/llm_prober/prober/workload"
)

// Two seconds of 2 per second, a ramp to 6 per second, then nothing.
func ExampleNewArrivals() {
	profile := workload.Profile{
		{From: 2, To: 2, Over: 2 * time.Second},
		{From: 2, To: 6, Over: time.Second},
	}
	arrivals, err := workload.NewArrivals(profile, workload.Constant{}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	for at, ok := arrivals.Next(); ok; at, ok = arrivals.Next() {
		fmt.Println(at.Round(time.Millisecond))
	}
	fmt.Println(profile.Expected(profile.Duration()), "expected")
	// Output:
	// 250ms
	// 750ms
	// 1.25s
	// 1.75s
	// 2.207s
	// 2.5s
	// 2.725s
	// 2.914s
	// 8 expected
}

// The model's answers become a part of the history.
func ExampleConversation() {
	prompts := workload.NewGenerator(1, new(workload.Calibration))
	conversation := prompts.Conversation(workload.ConversationShape{
		Turns:       workload.Range{Min: 3, Max: 3},
		FirstTokens: workload.Range{Min: 500, Max: 500},
		TurnTokens:  workload.Range{Min: 20, Max: 60},
	})
	for prompt, ok := conversation.Next(); ok; prompt, ok = conversation.Next() {
		fmt.Println("turn", prompt.Turn, "has", len(prompt.Messages), "messages")
		conversation.Answered("It was a long day for the river.")
	}
	// Output:
	// turn 1 has 1 messages
	// turn 2 has 3 messages
	// turn 3 has 5 messages
}

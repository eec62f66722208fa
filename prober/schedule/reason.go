package schedule

// Reason is why a tick did not become a run. The set is closed, so a reason may be a metric label.
type Reason string

// The reasons, in the order in which they are looked at: a tick has the first that applies.
const (
	Missed                   Reason = "missed"                      // the process was stopped for more than an interval
	Overlap                  Reason = "overlap"                     // the job's last run was still under way
	Paused                   Reason = "paused"                      // the target had asked to be left alone, see Scheduler.Pause
	TargetInFlight           Reason = "target_in_flight"            // the group's MaxInFlight left too little
	GlobalInFlight           Reason = "global_in_flight"            // the plan's MaxInFlight left too little
	BudgetRequests           Reason = "budget_requests"             // the group's RequestsPerMinute left too little
	BudgetOutputTokens       Reason = "budget_output_tokens"        // the group's OutputTokensPerHour left too little
	BudgetCost               Reason = "budget_cost"                 // the group's CostPerDay left too little
	GlobalBudgetRequests     Reason = "global_budget_requests"      // the plan's RequestsPerMinute left too little
	GlobalBudgetOutputTokens Reason = "global_budget_output_tokens" // the plan's OutputTokensPerHour left too little
	GlobalBudgetCost         Reason = "global_budget_cost"          // the plan's CostPerDay left too little
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		Missed, Overlap, Paused, TargetInFlight, GlobalInFlight,
		BudgetRequests, BudgetOutputTokens, BudgetCost,
		GlobalBudgetRequests, GlobalBudgetOutputTokens, GlobalBudgetCost,
	}
}

package config

import "regexp"

var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

// price checks what a target costs.
func (v *validator) price(p *Price, at *node) {
	if p == nil || at == nil {
		return
	}
	for _, key := range []string{"input", "cached_input", "output", "per_hour", "gpu_hour_cost"} {
		if n := at.get(key); n != nil {
			v.must(n.text[0] != '-', n, "a price must not be negative")
		}
	}
	tokens := at.has("input") || at.has("output") || at.has("cached_input")
	currency := at.get("currency")
	switch {
	case at.has("per_hour") && at.has("gpu_hour_cost"):
		v.must(false, at.get("gpu_hour_cost"), "the price is by the target's hour already; a target has one or the other")
	case tokens && at.has("per_hour"):
		v.must(false, at.get("per_hour"), "the price is by the token already; a target has one or the other")
	case tokens && at.has("gpu_hour_cost"):
		v.must(false, at.get("gpu_hour_cost"), "the price is by the token already; a target has one or the other")
	case tokens:
		v.must(at.has("input") && at.has("output"), at, "a price by the token needs both input and output")
	default:
		v.must(at.has("per_hour") || at.has("gpu_hour_cost"), at, "the price lacks amounts: write input and output, or per_hour, or gpu_hour_cost")
	}
	if p.Input != nil && p.CachedInput != nil && at.get("input") != nil {
		v.must(*p.CachedInput <= *p.Input, at.get("cached_input"), "cached tokens are not dearer than others: cached_input is more than input, which is %s", at.get("input").text)
	}
	v.must(currencyPattern.MatchString(p.Currency), currency, "a currency is written with three capital letters, such as USD")
}

// priced checks what rests on a target's price, and what the price rests on.
func (v *validator) priced(t *TargetSettings, at *node) {
	price := at.get("price")
	if price != nil && t.Price != nil {
		v.must(t.Price.GPUHourCost == nil || len(t.GPUs) > 0 || at.has("gpus"), price.get("gpu_hour_cost"), "gpu_hour_cost is one GPU's: list the target's gpus, or write per_hour")
	}
	byToken := at.has("price") && (price == nil || price.has("input"))
	v.must(t.Budget.CostPerDay <= 0 || byToken, at.get("budget").get("cost_per_day"), "cost_per_day needs a price by the token, with input and output")
}

// HourlyPrice is what one hour of the target costs, all its GPUs together; false: its price is by the token, or it has none.
func (t *TargetSettings) HourlyPrice() (amount float64, ok bool) {
	switch p := t.Price; {
	case p == nil:
		return 0, false
	case p.PerHour != nil:
		return *p.PerHour, true
	case p.GPUHourCost != nil:
		return *p.GPUHourCost * float64(len(t.GPUs)), true
	}
	return 0, false
}

// abandonment checks the curve of users who give up.
func (v *validator) abandonment(p *Probe, at *node) {
	n := at.get("abandonment")
	if n == nil {
		return
	}
	v.must(len(n.children) > 0, n, "the list is empty; leave it out")
	v.must(p.Stream == nil || *p.Stream, n.key, "the probe is not streamed, so that its answers have no time to first token")
	var before Abandonment
	for i, point := range p.Abandonment {
		item := n.item(i)
		ttft, share := item.get("ttft"), item.get("share")
		if ttft == nil || share == nil {
			return // what comes after it is not known to be wrong
		}
		if point.TTFT == 0 || point.Share < 0 || point.Share > 1 {
			v.must(point.TTFT > 0, ttft, "ttft must be longer than 0")
			v.must(point.Share >= 0 && point.Share <= 1, share, "a share is between 0 and 1")
			return
		}
		v.must(point.TTFT > before.TTFT, ttft, "ttft %s is not longer than %s: the shortest time comes first", point.TTFT, before.TTFT)
		v.must(point.Share >= before.Share, share, "share %s is less than the %v before it: who has given up does not come back", share.text, before.Share)
		before = point
	}
}

package schedule

import "math"

// Money is counted in whole billionths of a currency's unit, so that sums stay exact over months: at 0.10 for a million
// tokens, a token costs a hundred of them.
const billionths = 1e9

// mostMoney is the greatest amount that a plan may speak of. What a run says it cost beyond is counted as this much.
const mostMoney = 1e9

// slack is more than what the float64 of a decimal fraction such as 0.07 is off it, in proportion: that is no billionth
// more.
const slack = 1e-12

// roundedUp returns an amount of 0 or more in billionths: never too little.
func roundedUp(amount float64) int64 {
	return int64(math.Ceil(min(amount, mostMoney) * billionths * (1 - slack)))
}

// roundedDown returns an amount of 0 or more in billionths: never too much.
func roundedDown(amount float64) int64 {
	return int64(math.Floor(min(amount, mostMoney) * billionths * (1 + slack)))
}

package config

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// scalar is how a type is written that takes one value.
type scalar struct {
	want    string              // what it takes, in words
	secret  bool                // it may hold ${NAME}, and is never shown
	private bool                // it is never shown
	check   func(n *node) error // nil: any text is good
}

// scalarOf is the table of types that take one value. Another such type is another row.
func scalarOf(t reflect.Type) (scalar, bool) {
	switch t {
	case reflect.TypeFor[model.Duration]():
		return scalar{want: "a duration such as 500ms, 15s or 1m30s", check: checkDuration}, true
	case reflect.TypeFor[Range]():
		return scalar{want: "a number of tokens such as 400, or a range such as 20-60", check: func(n *node) error {
			_, err := ParseRange(n.text)
			return err
		}}, true
	case reflect.TypeFor[Threshold]():
		return scalar{want: "a duration such as 800ms, or a number", check: checkThreshold}, true
	case reflect.TypeFor[Level]():
		return scalar{want: "a load: a rate such as 10/s, or a number of requests under way", check: func(n *node) error {
			_, err := ParseLevel(n.text)
			return err
		}}, true
	case reflect.TypeFor[Percent]():
		return scalar{want: "a percentage such as 10%", check: func(n *node) error {
			_, err := ParsePercent(n.text)
			return err
		}}, true
	case reflect.TypeFor[TimeOfDay]():
		return scalar{want: "a time of the day such as 08:00", check: func(n *node) error {
			_, err := ParseTimeOfDay(n.text)
			return err
		}}, true
	case reflect.TypeFor[Schedule]():
		return scalar{want: "a schedule such as 0 2 * * *", check: func(n *node) error {
			_, err := parseSchedule(n.text)
			return err
		}}, true
	case reflect.TypeFor[RetryOn]():
		return scalar{want: "a code of HTTP such as 429, or an outcome such as connect", check: checkRetryOn}, true
	case reflect.TypeFor[Regexp]():
		return scalar{want: "a regular expression", check: checkRegexp}, true
	case reflect.TypeFor[Secret](), reflect.TypeFor[commoncfg.Secret]():
		return scalar{want: "a text", secret: true}, true
	case reflect.TypeFor[commoncfg.URL]():
		return scalar{want: "a URL", private: true, check: func(n *node) error {
			_, problem := parseURL(n.text)
			return problem
		}}, true
	case reflect.TypeFor[commoncfg.TLSVersion]():
		return scalar{want: "a TLS version", check: func(n *node) error {
			names := []string{"TLS12", "TLS13"}
			if n.text == "TLS10" || n.text == "TLS11" {
				return fmt.Errorf("%s is broken, and not spoken; leave it out, or write TLS12 or TLS13", n.text)
			}
			if !slices.Contains(names, n.text) {
				return fmt.Errorf("unknown TLS version %q%s", n.text, didYouMean(n.text, names))
			}
			return nil
		}}, true
	}
	switch t.Kind() {
	case reflect.String:
		return scalar{want: "a text"}, true
	case reflect.Bool:
		return scalar{want: "true or false", check: func(n *node) error {
			switch {
			case n.text != "true" && n.text != "false":
				return fmt.Errorf("write true or false, not %q", n.text)
			case n.tag != "!!bool":
				return fmt.Errorf("write %s without quotes", n.text)
			}
			return nil
		}}, true
	case reflect.Int, reflect.Int64:
		return scalar{want: "a whole number", check: checkInt}, true
	case reflect.Float64:
		return scalar{want: "a number", check: checkFloat}, true
	}
	return scalar{}, false
}

// checkDuration knows the mistakes that are made with Prometheus' durations, and their cures.
func checkDuration(n *node) error {
	_, err := model.ParseDuration(n.text)
	if err == nil {
		return nil
	}
	if isDecimal(n.text) {
		return fmt.Errorf("%q lacks a unit; write %sms, %ss or %sm", n.text, n.text, n.text, n.text)
	}
	if strings.Contains(err.Error(), "out of range") {
		return fmt.Errorf("the duration %s is too long", n.text)
	}
	if d, err := time.ParseDuration(n.text); err == nil {
		switch {
		case d < 0:
			return fmt.Errorf("the duration %s is negative", n.text)
		case d%time.Millisecond == 0:
			return fmt.Errorf("%q is not a duration as Prometheus writes them; write %s", n.text, model.Duration(d))
		}
	}
	return fmt.Errorf("%q is not a duration; write whole numbers with the units y, w, d, h, m, s, ms, largest first, such as 1m30s", n.text)
}

// checkInt takes decimal numbers only: YAML reads 0100 as 64, and 64.0 and 1e2 as whole.
func checkInt(n *node) error {
	decimal := isDecimal(strings.TrimPrefix(n.text, "-"))
	switch _, err := strconv.Atoi(n.text); {
	case !decimal:
		return fmt.Errorf("write a whole number, not %q", n.text)
	case n.tag == "!!str":
		return fmt.Errorf("write %s without quotes", n.text)
	case err != nil:
		return fmt.Errorf("%s is too large", n.text)
	}
	return nil
}

func checkFloat(n *node) error {
	f, err := strconv.ParseFloat(n.text, 64)
	if n.tag != "!!int" && n.tag != "!!float" || err != nil || !decimalFloat.MatchString(n.text) || math.IsInf(f, 0) {
		return fmt.Errorf("write a number such as 0.5, not %q", n.text)
	}
	return nil
}

var decimalFloat = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

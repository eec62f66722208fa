package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// sleepers are the tests that may sleep in real time, by "path func", with the reason.
func sleepers() map[string]string {
	const replicas = "processes are killed and stopped at random moments of real time"
	return map[string]string{
		"collector/waitingroom_test.go Read":                  "is called in bubbles alone",
		"internal/simulator/lateness_test.go measureLateness": "a benchmark of the real clock: its streams begin evenly over one token gap",
		"internal/simulator/tcp_test.go eventually":           "polls what the kernel knows of a socket, which no channel tells",
		"prober/ramp/cron/missed_test.go Claim":               "is called in bubbles alone",
		"prober/ramp/cron/process_test.go replicaProcess":     "a process that ticks, to notice that it was stopped",
		"prober/ramp/cron/process_test.go wait":               "a slow disk",
		"prober/ramp/cron/processes_test.go run":              replicas,
		"prober/ramp/cron/processes_test.go serve":            "a slow server",
		"prober/ramp/cron/processes_test.go stop":             replicas,
		"prober/ramp/cron/processes_test.go trouble":          replicas,
		"prober/transport/client_test.go TestReuse":           "polls for the kernel's notice that the peer has closed",
	}
}

// testsDoNotSleep: a test that sleeps is slow on a fast machine and flaky on a slow one. Inside a synctest
// bubble time is not real, and sleeping is how it advances.
func testsDoNotSleep(allowed map[string]string) func(*tree) []string {
	return func(t *tree) (found []string) {
		unused := maps.Clone(allowed)
		for _, p := range t.packages {
			bubbles := bubbleFuncs(p.tests)
			for _, f := range p.tests {
				for _, d := range f.ast.Decls {
					name := "the package's variables"
					if fn, ok := d.(*ast.FuncDecl); ok {
						name = fn.Name.Name
					}
					if bubbles[name] {
						continue
					}
					cases := map[ast.Node]bool{} // of a select: there, <-time.After(d) is a limit
					ast.Inspect(d, func(n ast.Node) bool {
						switch n := n.(type) {
						case *ast.CommClause:
							cases[n.Comm] = true
							return true
						case *ast.CallExpr:
							if isCall(n, "synctest", "Test") {
								return false
							}
							if !isCall(n, "time", "Sleep") {
								return true
							}
						case *ast.ExprStmt: // <-time.After(d), alone, is a sleep too
							wait, ok := n.X.(*ast.UnaryExpr)
							if !ok || cases[n] || wait.Op != token.ARROW || !isCall(wait.X, "time", "After") {
								return true
							}
						default:
							return true
						}
						who := f.path + " " + name
						if _, ok := allowed[who]; ok {
							delete(unused, who)
						} else {
							found = append(found, fmt.Sprintf("%s: %s sleeps", f.at(n), name))
						}
						return true
					})
				}
			}
		}
		for _, who := range slices.Sorted(maps.Keys(unused)) {
			found = append(found, fmt.Sprintf("%s: is listed as one that may sleep, and does not", who))
		}
		return found
	}
}

// bubbleFuncs are the functions in which sleeping is taken to be in a synctest bubble: those that are handed to one by
// name, those that open one (their other parts are mostly what is then run in it), and those that call one of these
// of the same package.
func bubbleFuncs(tests []*file) map[string]bool {
	names := map[string]bool{}
	within := func(is func(n ast.Node) bool) {
		var more []string
		for _, f := range tests {
			for _, d := range f.ast.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				ast.Inspect(fn, func(n ast.Node) bool {
					if is(n) {
						more = append(more, fn.Name.Name)
					}
					return true
				})
			}
		}
		for _, name := range more {
			names[name] = true
		}
	}
	within(func(n ast.Node) bool {
		if !isCall(n, "synctest", "Test") {
			return false
		}
		for _, arg := range n.(*ast.CallExpr).Args {
			if id, ok := arg.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
		return true
	})
	within(func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fun.(*ast.Ident)
		return ok && names[id.Name]
	})
	return names
}

// isCall tells whether n calls pkg.name.
func isCall(n ast.Node, pkg, name string) bool {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// goroutinesAreCounted: whoever starts goroutines waits for them, and a test proves it.
func goroutinesAreCounted(t *tree) (found []string) {
	for _, p := range t.packages {
		where := ""
		for _, f := range p.files {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if where != "" {
					return false
				}
				switch n := n.(type) {
				case *ast.GoStmt:
					where = f.at(n)
				case *ast.CallExpr: // sync.WaitGroup and errgroup.Group
					if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" {
						where = f.at(n)
					}
				}
				return true
			})
		}
		counts := func(f *file) bool {
			return slices.ContainsFunc(f.ast.Imports, func(i *ast.ImportSpec) bool {
				return strings.Contains(i.Path.Value, "go.uber.org/goleak")
			})
		}
		if where != "" && !slices.ContainsFunc(p.tests, counts) {
			found = append(found, fmt.Sprintf("%s: %s starts goroutines here, and no test of it uses goleak", where, p.dir))
		}
	}
	return found
}

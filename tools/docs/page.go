package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Page is what a page of documentation asks its reader to do.
type Page struct {
	Path         string // relative to the repository
	InRepository bool   // all of its commands are for a clone's root
	Steps        []Step // in the page's order
	Skipped      []Skip // what only a reader can run
	YAML         []Block
}

// Block is the content of a fenced block.
type Block struct {
	Line int
	Text string
}

// Step is a file to write or a command to run.
type Step struct {
	Line         int    // where it begins
	File         string // name of the file whose content Text is; empty: Text is a command
	Text         string
	InRepository bool     // to be run in a clone's root
	Background   bool     // runs until the page ends
	Until        string   // HOST:PORT at which a command in the background answers once it is up; empty: as its log says
	Exit         int      // the exit code that it should have
	Shown        []string // the output beneath a command, as the page has it; nil: none
}

// Skip is a block that is not run, and why.
type Skip struct {
	Line   int
	Reason string
}

// The marks that a block may have, each a comment on a line of its own before it.
const (
	markNotRun     = "not run"
	markFile       = "file"
	markBackground = "background"
	markIn         = "in"
	markExit       = "exit"
)

var (
	shells  = []string{"sh", "bash", "shell", "zsh"}
	fence   = regexp.MustCompile("^([ \t]*)(```+|~~~+)[ \t]*([^` \t]*)[^`]*$")
	comment = regexp.MustCompile(`^[ \t]*<!--[ \t]*(.*?)[ \t]*-->[ \t]*$`)
	// stray is a line of code that looks like a command to be typed.
	stray  = regexp.MustCompile(`^(\$ |(sudo )?((bin/)?llm_prober( |$)|make [a-z]|go (run|test|build|generate|install|tool|-C) |curl |docker |kubectl |helm |systemctl |(bash )?tools/[a-z-]+\.sh))`)
	ampers = regexp.MustCompile(`(^|[^&>])&[ \t]*(#[^'"]*)?$`)
)

// marks are those that wait for their block.
type marks struct {
	line   int
	values map[string]string
	odd    []string // comments that are no marks
}

// Parse reads a page. complete says whether lines are a whole command of the shell, or what is wrong with them.
// All that is wrong with the page comes back at once.
func Parse(path string, text []byte, complete func(lines string) (bool, error)) (*Page, error) {
	p := &Page{Path: path}
	var errs []error
	wrong := func(line int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %s", path, line, fmt.Sprintf(format, args...)))
	}
	lines := strings.Split(string(text), "\n")
	var pending marks
	blank := true
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := fence.FindStringSubmatch(line); m != nil {
			first := i + 1
			var block []string
			closed := false
			for i++; i < len(lines); i++ {
				if trimmed := strings.TrimSpace(lines[i]); strings.HasPrefix(trimmed, m[2]) && strings.Trim(trimmed, m[2][:1]) == "" {
					closed = true
					break
				}
				block = append(block, strings.TrimPrefix(lines[i], m[1]))
			}
			if !closed {
				wrong(first, "the block is not closed")
			}
			p.block(m[3], first, block, pending, complete, wrong)
			pending, blank = marks{}, true
			continue
		}
		if m := comment.FindStringSubmatch(line); m != nil {
			key, value, _ := strings.Cut(m[1], ":")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			switch {
			case key == markIn && atTop(lines[:i]):
				p.InRepository = true
				if value != "the repository" {
					wrong(i+1, "in: %s: want in: the repository", value)
				}
			case slices.Contains([]string{markNotRun, markFile, markBackground, markIn, markExit}, key):
				if pending.values == nil {
					pending = marks{line: i + 1, values: map[string]string{}, odd: pending.odd}
				}
				pending.values[key] = value
			default:
				pending.odd = append(pending.odd, m[1])
			}
			continue
		}
		if strings.TrimSpace(line) == "" {
			blank = true
			continue
		}
		if pending.values != nil {
			wrong(pending.line, "a mark without a block after it")
		}
		pending = marks{}
		// An indented block begins after an empty line.
		if indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"); indented && blank {
			if stray.MatchString(strings.TrimSpace(line)) {
				wrong(i+1, "a command outside of a block marked ```sh or ```console: %s", strings.TrimSpace(line))
			}
		} else {
			blank = false
		}
	}
	if pending.values != nil {
		wrong(pending.line, "a mark without a block after it")
	}
	return p, errors.Join(errs...)
}

// atTop says whether a mark after these lines is the whole page's: nothing but the title and comments came before.
func atTop(before []string) bool {
	for _, line := range before {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "# ") && !comment.MatchString(line) {
			return false
		}
	}
	return true
}

// block takes a fenced block. Its first line is line first+1 of the page.
func (p *Page) block(language string, first int, lines []string, m marks, complete func(string) (bool, error), wrong func(int, string, ...any)) {
	shell := slices.Contains(shells, language)
	console := language == "console"
	has := func(key string) bool { _, ok := m.values[key]; return ok }
	if language == "yaml" {
		p.YAML = append(p.YAML, Block{first, strings.Join(lines, "\n") + "\n"})
	}
	if reason, ok := m.values[markNotRun]; ok {
		if reason == "" {
			wrong(m.line, "not run: want a reason")
		}
		p.Skipped = append(p.Skipped, Skip{first, reason})
		return
	}
	if name, ok := m.values[markFile]; ok {
		if shell || console || name == "" || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") {
			wrong(m.line, "file: want a name inside of the page's folder, and a block that is no command")
			return
		}
		p.Steps = append(p.Steps, Step{Line: first, File: name, Text: strings.Join(lines, "\n") + "\n"})
		return
	}
	if !shell && !console {
		if m.values != nil {
			wrong(m.line, "a mark for commands before a block of %q", language)
		}
		if language == "json" {
			if err := isJSON([]byte(strings.Join(lines, "\n"))); err != nil {
				wrong(first, "%v", err)
			}
		}
		for i, line := range lines {
			if (language == "" || language == "text") && stray.MatchString(line) {
				wrong(first+1+i, "a command in a block that is not marked ```sh or ```console: %s", line)
			}
		}
		return
	}
	for _, odd := range m.odd {
		wrong(first, "%q is no mark: there are not run, file, background, in and exit", odd)
	}
	where, in := m.values[markIn]
	if in && where != "the repository" {
		wrong(m.line, "in: %s: want in: the repository", where)
	}
	var steps []Step
	var err error
	at := 0 // of the line at which err is
	if console {
		steps, at, err = transcript(lines, complete)
	} else {
		steps, at, err = commands(lines, complete)
	}
	if err != nil {
		wrong(first+1+at, "%v", err)
		return
	}
	if len(steps) == 0 {
		wrong(first, "there is no command in it")
		return
	}
	for i := range steps {
		steps[i].Line += first + 1
		steps[i].InRepository = p.InRepository || in
		steps[i].Background = ampers.MatchString(steps[i].Text)
	}
	last := &steps[len(steps)-1]
	if has(markBackground) {
		if last.Until = m.values[markBackground]; last.Until == "until the end of the page" {
			last.Until = ""
		} else if last.Until != "" && !regexp.MustCompile(`^[a-z0-9.\[\]:-]*:[0-9]+$`).MatchString(last.Until) {
			wrong(m.line, "background: want HOST:PORT, where it answers once it is up, or nothing")
		}
		if !last.Background {
			last.Text += " &"
		}
		last.Background = true
	}
	if has(markExit) {
		if _, err := fmt.Sscanf(m.values[markExit], "%d", &last.Exit); err != nil || last.Background {
			wrong(m.line, "exit: want a number, for the last command of the block")
		}
	}
	for i, s := range steps {
		if s.Background && s.Shown != nil && i < len(steps)-1 {
			wrong(s.Line, "a command in the background shows output in the midst of a block")
		}
	}
	p.Steps = append(p.Steps, steps...)
}

// commands are the whole commands that lines are; Step.Line counts from 0. at is the line at which it went wrong.
func commands(lines []string, complete func(string) (bool, error)) (steps []Step, at int, err error) {
	var text string
	begun := -1
	for i, line := range lines {
		if begun < 0 {
			if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "#") {
				continue
			}
			text, begun = "", i
		}
		text += line
		whole, err := complete(text)
		if err != nil {
			return nil, begun, err
		}
		if whole {
			steps = append(steps, Step{Line: begun, Text: text})
			begun = -1
		}
		text += "\n"
	}
	if begun >= 0 {
		return nil, begun, errors.New("the command does not end")
	}
	return steps, 0, nil
}

// transcript takes a session apart: commands behind a prompt, and what they printed.
func transcript(lines []string, complete func(string) (bool, error)) (steps []Step, at int, err error) {
	for i := 0; i < len(lines); {
		line, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			return nil, i, errors.New("output without a command: commands begin with `$ `")
		}
		begun := i
		for i++; ; i++ {
			whole, err := complete(line)
			if err != nil {
				return nil, begun, err
			}
			if whole {
				break
			}
			if i == len(lines) {
				return nil, begun, errors.New("the command does not end")
			}
			line += "\n" + strings.TrimPrefix(lines[i], "> ")
		}
		step := Step{Line: begun, Text: line}
		for ; i < len(lines) && !strings.HasPrefix(lines[i], "$ "); i++ {
			step.Shown = append(step.Shown, lines[i])
		}
		steps = append(steps, step)
	}
	return steps, 0, nil
}

// isJSON is whether text is one value or several, as files of lines have them.
func isJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for n := 0; ; n++ {
		var v any
		if err := decoder.Decode(&v); err == io.EOF && n > 0 {
			return nil
		} else if err != nil {
			return fmt.Errorf("it is no JSON: %w", err)
		}
	}
}

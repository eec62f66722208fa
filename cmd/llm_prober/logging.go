package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	sloggokit "github.com/tjhop/slog-gokit"
)

// logFlags say what is logged and how.
type logFlags struct{ level, format string }

func addLogFlags(app *kingpin.Application) *logFlags {
	f := new(logFlags)
	app.Flag("log.level", "Log messages of this severity and above: debug, info, warn or error.").
		Default("info").EnumVar(&f.level, "debug", "info", "warn", "error")
	app.Flag("log.format", "Form of log messages: logfmt or json.").
		Default("logfmt").EnumVar(&f.format, "logfmt", "json")
	return f
}

// logger makes the one log of the process: slog in front, go-kit's logfmt or JSON behind.
// The go-kit logger stays undecorated: the bridge adds time, level and caller itself.
func (f *logFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	base := log.NewLogfmtLogger(log.NewSyncWriter(w))
	if f.format == "json" {
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	}
	return slog.New(sloggokit.NewGoKitHandler(base, level)), nil
}

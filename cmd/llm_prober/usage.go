package main

// usageTemplate is kingpin's, cut to one screen: the overview has a line for each command, and a command's own help
// has its description with an example, then its flags.
const usageTemplate = `{{define "Arguments" -}}
{{if .FlagSummary}} {{.FlagSummary}}{{end -}}
{{range .Args}} {{if not .Required}}[{{end}}<{{.Name}}>{{if .Value|IsCumulative}}...{{end}}{{if not .Required}}]{{end}}{{end -}}
{{end -}}
{{if .Context.SelectedCommand -}}
usage: {{.App.Name}} {{.Context.SelectedCommand}}{{template "Arguments" .Context.SelectedCommand}}

{{.Context.SelectedCommand.Help|Wrap 0}}
{{if .Context.SelectedCommand.HelpLong}}{{.Context.SelectedCommand.HelpLong}}

{{end -}}
{{else -}}
usage: {{.App.Name}} [<flags>] [<command> [<args> ...]]

{{.App.Help|Wrap 0}}
Commands:
{{range .App.FlattenedCommands}}{{if not .Hidden}}  {{printf "%-14s" .FullCommand}}{{.Help}}
{{end}}{{end}}
{{end -}}
{{if .Context.Flags -}}
Flags:
{{.Context.Flags|FlagsToTwoColumns|FormatTwoColumns}}
{{end -}}
{{if .Context.Args -}}
Arguments:
{{.Context.Args|ArgsToTwoColumns|FormatTwoColumns}}
{{end -}}
`

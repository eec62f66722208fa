package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kingpin/v2"
)

func TestDemoSaysWhereToLook(t *testing.T) {
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "--web.config.file=" + file
	}
	secure := write("tls.yml", "tls_server_config: {cert_file: prober.crt, key_file: prober.key}\n")
	password := write("password.yml", "basic_auth_users: {me: x}\n")
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "http://localhost:9779/"},
		{[]string{"--web.listen-address=0.0.0.0:80"}, "http://localhost:80/"},
		{[]string{"--web.listen-address=[::]:80"}, "http://localhost:80/"},
		{[]string{"--web.listen-address=[::1]:80"}, "http://[::1]:80/"},
		{[]string{"--web.listen-address=127.0.0.2:80", "--web.listen-address=:81"}, "http://127.0.0.2:80/"},
		{[]string{"--web.listen-address=demo.example:80"}, "http://demo.example:80/"},
		{[]string{"--web.listen-address=127.0.0.1:0"}, "the address that the log names"},
		{[]string{"--web.systemd-socket"}, "the address that the log names"},
		{[]string{secure}, "https://localhost:9779/"},
		{[]string{password}, "http://localhost:9779/"},
		{[]string{"--web.config.file=no-such-file.yml"}, "http://localhost:9779/"},
	} {
		app := kingpin.New("test", "")
		_, c := addDemoCommand(app)
		if _, err := app.Parse(append([]string{"demo"}, test.args...)); err != nil {
			t.Fatal(err)
		}
		if got := c.(*demoCommand).page(); got != test.want {
			t.Errorf("page with %v = %q; want %q", test.args, got, test.want)
		}
	}
}

package main

import (
	"context"
	"crypto/rand"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"createkey/internal/test/awslocal"
)

// module is the folder of the benchmarks' own Go module, which keeps their dependencies
// out of the function's. root is the function's module, the current folder.
const (
	module = "internal/cmd/bench"
	root   = "."
)

// asShipped are the flags with which the Makefile builds the function.
var asShipped = []string{"-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w"}

// build compiles a package of the module in a folder into dir, with env added to the
// compiler's environment, and returns the executable's path.
func build(ctx context.Context, dir, name, in, pkg string, env []string, flags ...string) (string, error) {
	path := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"./" + pkg})...)
	build.Dir = in
	build.Env = slices.Concat(os.Environ(), []string{"CGO_ENABLED=0"}, env)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

const function = "functions/createkey"

// connecting is the line of the function's main that opens its connections.
const connecting = "\thandler.Connect(context.Background())\n"

// buildUnconnected compiles the function without that line.
func buildUnconnected(ctx context.Context, dir string) (string, error) {
	source, err := filepath.Abs(filepath.Join(function, "main.go"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), connecting) != 1 {
		return "", fmt.Errorf("%s: does not connect where it is thought to", source)
	}
	changed := strings.Replace(string(text), connecting, "", 1)
	mainFile, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{source: mainFile}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(mainFile, []byte(changed), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	return build(ctx, dir, "unconnected", root, function, nil, append([]string{"-overlay", overlay}, asShipped...)...)
}

// python writes a peer in Python as an executable, and returns its path.
func python(dir, venv, name string) (string, error) {
	interpreter, err := filepath.Abs(filepath.Join(venv, "bin", "python"))
	if err != nil {
		return "", err
	}
	script, err := filepath.Abs(filepath.Join(module, "peers", name, "handler.py"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' '%s'\n", interpreter, script), 0o700)
}

// commandLine makes keys with the two AWS CLI commands that people use. It takes the same
// requests as a side.
type commandLine struct {
	aws      string // the program
	endpoint string
	requests int
}

// call returns the seconds that both commands take.
func (c *commandLine) call(ctx context.Context) (float64, error) {
	c.requests++
	customer, value := fmt.Sprintf("cli-%d", c.requests), rand.Text()
	start := time.Now()
	for _, args := range [][]string{
		{"apigateway", "create-api-key", "--name", "Standard", "--customer-id", customer, "--enabled", "--value", value},
		{"secretsmanager", "create-secret", "--name", "apikeys/" + customer + "/Standard", "--secret-string", value},
	} {
		command := exec.CommandContext(ctx, c.aws, args...)
		command.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+c.endpoint, "AWS_DEFAULT_REGION="+awslocal.Region,
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
		if err := command.Run(); err != nil { // the output holds the value and is not shown
			return 0, fmt.Errorf("aws %s %s: %w", args[0], args[1], err)
		}
	}
	return time.Since(start).Seconds(), nil
}

// builtAlike returns an error if two executables were not built by the same Go with the
// same settings: their figures could not be compared. It cannot see -ldflags, which Go
// does not record when -trimpath is set.
func builtAlike(a, b string) error {
	settingsOfA, err := buildSettings(a)
	if err != nil {
		return err
	}
	settingsOfB, err := buildSettings(b)
	if err != nil {
		return err
	}
	if settingsOfA != settingsOfB {
		return fmt.Errorf("built differently: %s (%s) and %s (%s)", a, settingsOfA, b, settingsOfB)
	}
	return nil
}

func buildSettings(executable string) (string, error) {
	info, err := buildinfo.ReadFile(executable)
	if err != nil {
		return "", err
	}
	settings := []string{info.GoVersion}
	for _, s := range info.Settings {
		if !strings.HasPrefix(s.Key, "vcs") {
			settings = append(settings, s.Key+"="+s.Value)
		}
	}
	return strings.Join(settings, " "), nil
}

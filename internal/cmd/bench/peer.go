package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// buildPeer compiles a peer of internal/bench/peers into dir, with the flags by
// which the Makefile builds the function, and returns the executable's path.
func buildPeer(ctx context.Context, dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w",
		"-o", path, "createkey/internal/bench/peers/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building peer %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return path, nil
}

// builtAlike returns an error where two executables were not built by the same
// Go with the same settings: figures of one beside the other would mean nothing.
// It cannot see -ldflags, which Go does not record beside -trimpath.
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

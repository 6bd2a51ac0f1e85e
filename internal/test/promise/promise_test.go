package promise_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/promise"
)

const (
	name  = "apikeys/acme/Gold"
	value = "fAk3fAk3-n0t-a-r3al-k3y"
	other = "0th3r-fAk3-n0t-a-r3al-k3y"
)

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// An account is an Account that tests can break.
type account struct {
	keys    []awslocal.Key
	secrets [][]awslocal.Secret
	plans   map[string][]string
}

func (a *account) KeysEver() []awslocal.Key         { return a.keys }
func (a *account) SecretsEver() [][]awslocal.Secret { return a.secrets }
func (a *account) UsagePlanKeys(id string) []string { return a.plans[id] }
func (a *account) last() *awslocal.Secret           { return &a.secrets[0][len(a.secrets[0])-1] }

// version returns a secret's version with the label AWSCURRENT.
func version(id string, at time.Duration, document map[string]any) awslocal.SecretVersion {
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return awslocal.SecretVersion{ID: id, String: awslocal.Sensitive(text), Created: begun.Add(at), Stages: []string{"AWSCURRENT"}}
}

func superseded(v awslocal.SecretVersion) awslocal.SecretVersion {
	v.Stages = []string{"AWSPREVIOUS"}
	return v
}

func pending(changes ...func(map[string]any)) awslocal.SecretVersion {
	document := map[string]any{"format": "createkey/1", "value": value}
	for _, change := range changes {
		change(document)
	}
	return version("first", 0, document)
}

func finished(changes ...func(map[string]any)) awslocal.SecretVersion {
	document := map[string]any{
		"format": "createkey/1", "value": value, "id": "key1", "name": "Gold", "customerId": "acme", "enabled": true,
		"createdDate": begun.Add(time.Second), "lastUpdatedDate": begun.Add(time.Second),
		"stageKeys": []string{}, "tags": map[string]string{"createkey:secret": name}, "usagePlanIds": []string{"plan1"},
	}
	for _, change := range changes {
		change(document)
	}
	return version("second", 2*time.Second, document)
}

// lived makes an account in which other steps followed the finished record.
func lived(a *account, steps ...awslocal.SecretVersion) {
	versions := []awslocal.SecretVersion{pending(), finished()}
	versions[0].Stages = nil
	for i, step := range steps {
		step.ID = fmt.Sprint("step ", i)
		versions[len(versions)-1].Stages = nil
		versions = append(versions, step)
		a.secrets[0] = append(a.secrets[0], secret(slices.Clone(versions)...))
	}
}

// holds returns a subscription's holds with a start and an end at those seconds; 0: never.
func holds(start, end int) []map[string]time.Time {
	hold := map[string]time.Time{}
	for name, second := range map[string]int{"start": start, "end": end} {
		if second > 0 {
			hold[name] = begun.Add(time.Duration(second) * time.Second)
		}
	}
	return []map[string]time.Time{hold}
}

func ended(changes ...func(map[string]any)) awslocal.SecretVersion {
	return finished(append([]func(map[string]any){with("step", 3), with("ended", begun.Add(2*time.Second)), with("holds", holds(1, 2))}, changes...)...)
}

func returned(changes ...func(map[string]any)) awslocal.SecretVersion {
	return pending(append([]func(map[string]any){with("step", 4), with("generation", 2), with("value", other), with("holds", holds(3, 2))}, changes...)...)
}

func rotating(step int, value string, changes ...func(map[string]any)) awslocal.SecretVersion {
	return finished(append([]func(map[string]any){
		with("step", step), with("holds", holds(1, 0)), with("next", map[string]any{"value": value, "time": begun}),
	}, changes...)...)
}

func with(member string, v any) func(map[string]any) {
	return func(document map[string]any) { document[member] = v }
}

func secret(versions ...awslocal.SecretVersion) awslocal.Secret {
	return awslocal.Secret{Name: name, ARN: "arn:1", Created: begun, Versions: versions}
}

func key(id string, at time.Duration) awslocal.Key {
	return awslocal.Key{
		ID: id, Value: value, Name: "Gold", CustomerID: "acme", Enabled: true, Tags: map[string]string{"createkey:secret": name},
		Created: begun.Add(at), LastUpdated: begun.Add(at),
	}
}

// kept returns an account that keeps every promise.
func kept() *account {
	return &account{
		keys:    []awslocal.Key{key("key1", time.Second)},
		secrets: [][]awslocal.Secret{{secret(pending()), secret(superseded(pending()), finished())}},
		plans:   map[string][]string{"key1": {"plan1"}},
	}
}

// TestCheck breaks each promise once.
func TestCheck(t *testing.T) {
	revoked := func(a *account, after time.Duration) {
		a.keys[0].Deleted = begun.Add(2*time.Second + after)
		a.keys = append(a.keys, key("key2", 10*time.Minute))
	}
	for _, test := range []struct {
		name   string
		change func(a *account)
		want   string // prefix of the only fault; empty: no fault
	}{
		{"nothing", func(*account) {}, ""},
		{"a second key beside the first", func(a *account) { a.keys = append(a.keys, key("key2", 3*time.Second)) }, "promise 1"},
		{"a key in place of a revoked one", func(a *account) { revoked(a, time.Minute) }, "promise 1"},
		{"a key in place of one deleted too soon", func(a *account) { revoked(a, time.Minute-1) }, ""},
		{"a key before its secret", func(a *account) { a.keys[0].Created = begun.Add(-1) }, "promise 2"},
		{"a key of no secret", func(a *account) { a.keys[0].Tags["createkey:secret"] = "apikeys/acme/Silver" }, "promise 2"},
		{"a key with a value that the secret lacks", func(a *account) {
			a.keys = append(a.keys, key("key2", time.Hour))
			a.keys[1].Value = other
			a.keys[0].Tags = nil
		}, "promise 2"},
		{"a secret made finished", func(a *account) { a.secrets[0] = []awslocal.Secret{secret(finished())} }, "promise 2"},
		{"a pending record that says more", func(a *account) {
			first := pending(with("name", "Gold"))
			a.secrets[0] = []awslocal.Secret{secret(first), secret(superseded(first), finished())}
		}, "promise 2"},
		{"a record finished with another value", func(a *account) {
			a.secrets[0][1] = secret(superseded(pending()), finished(with("value", other)))
			a.keys = append(a.keys, awslocal.Key{ID: "key2", Value: other}) // somebody else's
			a.secrets[0][1].Versions[1] = finished(with("value", other), with("id", "key2"))
		}, "promise 4"},
		{"a record finished with an unknown member", func(a *account) {
			a.secrets[0][1] = secret(superseded(pending()), finished(with("owner", "me")))
		}, "promise 3"},
		{"a record finished with an empty member", func(a *account) {
			a.secrets[0][1] = secret(superseded(pending()), finished(with("description", "")))
		}, "promise 3"},
		{"a record finished without a member", func(a *account) {
			a.secrets[0][1] = secret(superseded(pending()), finished(func(document map[string]any) { delete(document, "stageKeys") }))
		}, "promise 3"},
		{"a record of a key that never was", func(a *account) {
			a.secrets[0][1] = secret(superseded(pending()), finished(with("id", "key9")))
		}, "promise 3"},
		{"a finished record overwritten in place", func(a *account) {
			a.secrets[0] = append(a.secrets[0], secret(superseded(pending()), finished(with("description", "x"))))
		}, "promise 4"},
		{"a finished record followed by another", func(a *account) {
			third := finished()
			third.ID = "third"
			a.secrets[0] = append(a.secrets[0], secret(pending(), superseded(finished()), third))
			a.secrets[0][2].Versions[0].Stages = nil
		}, "promise 4"},
		{"the pending record current again", func(a *account) {
			a.secrets[0] = append(a.secrets[0], secret(pending(), superseded(finished())))
		}, "promise 4"},
		{"a version by hand", func(a *account) {
			third := finished()
			third.ID = "hand"
			a.secrets[0] = append(a.secrets[0], secret(pending(), superseded(finished()), third))
			a.secrets[0][2].Versions[0].Stages = nil
		}, ""},
		{"an ended key", func(a *account) { lived(a, ended()) }, ""},
		{"a return, once the key is disabled", func(a *account) { lived(a, ended(), returned()); a.keys[0].Enabled = false }, ""},
		{"a return before the key is disabled", func(a *account) { lived(a, ended(), returned()) }, "promise 1"},
		{"a return with the value that has ended", func(a *account) { lived(a, ended(), returned(with("value", value))) }, "promise 4"},
		{"an end, and something holds the key", func(a *account) { lived(a, ended(with("holds", holds(1, 0)))) }, "promise 4"},
		{"a record that lives, and nothing holds the key", func(a *account) {
			lived(a, ended(func(document map[string]any) { delete(document, "ended") }))
		}, "promise 3"},
		{"a return that forgets the end", func(a *account) {
			a.keys[0].Enabled = false
			lived(a, ended(), returned(with("holds", holds(3, 0))))
		}, "promise 4"},
		{"a rotation that begins", func(a *account) { lived(a, rotating(3, other)) }, ""},
		{"a rotation in place of another", func(a *account) { lived(a, rotating(3, other), rotating(4, "an0th3r-fAk3-n0t-a-r3al-k3y")) }, "promise 4"},
		{"a foreign secret written", func(a *account) {
			foreign := version("hand", 0, map[string]any{"password": "x"})
			a.keys = nil
			a.secrets[0] = []awslocal.Secret{secret(foreign), secret(superseded(foreign), pending())}
		}, "promise 4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := kept()
			test.change(a)
			faults := promise.Check(a, "hand")
			if test.want == "" && len(faults) > 0 || test.want != "" && (len(faults) == 0 || !strings.HasPrefix(faults[0], test.want)) {
				t.Errorf("faults are %q, want %q", faults, test.want)
			}
			if promise.Leaks(a, []byte(strings.Join(faults, "\n")), value, other) {
				t.Error("a fault quotes a value")
			}
		})
	}
}

// TestSettled spoils each member of the record once.
func TestSettled(t *testing.T) {
	if k, faults := promise.Settled(kept(), name); k.ID != "key1" || faults != nil {
		t.Fatalf("faults are %q, want none", faults)
	}
	for member, wrong := range map[string]any{
		"value": other, "name": "gold", "customerId": "", "description": "x", "enabled": false, "createdDate": begun, "lastUpdatedDate": begun,
		"stageKeys": []string{"a/b"}, "tags": map[string]string{}, "usagePlanIds": []string{},
	} {
		a := kept()
		a.last().Versions[1] = finished(with(member, wrong))
		if _, faults := promise.Settled(a, name); len(faults) == 0 || !strings.HasSuffix(faults[0], " in "+member) {
			t.Errorf("with another %s faults are %q", member, faults)
		}
		for _, absent := range []string{"stageKeys", "tags", "usagePlanIds"} {
			a.last().Versions[1] = finished(func(document map[string]any) { delete(document, absent) })
			if _, faults := promise.Settled(a, name); len(faults) != 1 {
				t.Errorf("without %s faults are %q", absent, faults)
			}
		}
	}
	for what, change := range map[string]func(a *account){
		"no key":              func(a *account) { a.keys = nil },
		"a deleted key":       func(a *account) { a.keys[0].Deleted = begun.Add(time.Hour) },
		"two keys":            func(a *account) { a.keys = append(a.keys, key("key2", time.Hour)) },
		"a pending record":    func(a *account) { *a.last() = secret(pending()) },
		"a scheduled secret":  func(a *account) { a.last().DeletionDate = begun.Add(time.Hour) },
		"no secret":           func(a *account) { a.secrets = nil },
		"another first value": func(a *account) { a.last().Versions[0] = superseded(pending(with("value", other))) },
		"a plan more":         func(a *account) { a.plans["key1"] = []string{"plan1", "plan2"} },
	} {
		a := kept()
		change(a)
		if _, faults := promise.Settled(a, name); len(faults) == 0 {
			t.Errorf("%s: got no fault", what)
		}
	}
	a := kept()
	a.plans["key1"] = []string{"plan1", "default"}
	a.keys[0].Enabled, a.keys[0].LastUpdated = false, begun.Add(time.Hour)
	if faults := promise.Describes(a, name, "default"); faults != nil {
		t.Errorf("a key that an operator disabled, in an allowed extra plan: faults are %q, want none", faults)
	}
}

// TestLives breaks the final state of a life.
func TestLives(t *testing.T) {
	second := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Second) }
	started := promise.Holds{}.Started("", second(1))
	living := func(a *account) { lived(a, finished(with("step", 3), with("holds", holds(1, 0)))) }
	for _, test := range []struct {
		name   string
		told   promise.Holds
		change func(a *account)
		faults int
	}{
		{"held", started, living, 0},
		{"held, and the key is disabled", started, func(a *account) { living(a); a.keys[0].Enabled = false }, 2},
		{"held, and a rotation is not done", started, func(a *account) { lived(a, rotating(3, other)) }, 1},
		{"held, and another key is enabled", started, func(a *account) {
			living(a)
			a.keys = append(a.keys, key("key2", time.Hour))
		}, 1},
		{"held by a newer start than the record knows", started.Started("", second(2)), living, 1},
		{"ended", started.Ended("", second(2)), func(a *account) { lived(a, ended()); a.keys[0].Enabled = false }, 0},
		{"ended by all", started.Ended(promise.EveryHold, second(2)), func(a *account) { lived(a, ended()); a.keys[0].Enabled = false }, 2},
		{"ended, and the key is enabled", started.Ended("", second(2)), func(a *account) { lived(a, ended()) }, 1},
		{"ended, and the record lives", started.Ended("", second(1)), func(a *account) { living(a); a.keys[0].Enabled = false }, 2},
		{"ended, and there is no record", started.Ended("", second(1)), func(a *account) { a.keys, a.secrets = nil, nil }, 1},
	} {
		a := kept()
		test.change(a)
		if faults := promise.Lives(a, name, test.told); len(faults) != test.faults {
			t.Errorf("%s: faults are %q, want %d", test.name, faults, test.faults)
		}
	}
}

// TestMayDisable allows createkey to disable ended keys, and those that a rotation has replaced.
func TestMayDisable(t *testing.T) {
	k := key("key1", 0)
	next := k
	next.ID, next.Value = "key2", other
	for _, test := range []struct {
		name  string
		step  awslocal.SecretVersion
		k     awslocal.Key
		named bool
		want  bool
	}{
		{"a key that lives", finished(), k, false, false},
		{"a key that lives, which an end names", finished(), k, true, false},
		{"a key that has ended", ended(), k, false, true},
		{"the next key of a rotation that an end overtook", ended(with("next", map[string]any{"value": other, "time": begun})), next, false, true},
		{"a key of a generation before", ended(), next, false, false},
		{"the key before a rotation", finished(with("previous", "key2")), next, false, false},
		{"the key before a rotation, which an end names", finished(with("previous", "key2")), next, true, true},
		{"the key before a rotation, and another rotation begins", rotating(3, value+"next", with("previous", "key2")), next, false, true},
		{"the key before a rotation that has ended", ended(with("previous", "key2")), next, false, true},
	} {
		if got := promise.Decode(test.step).MayDisable(test.k, test.named); got != test.want {
			t.Errorf("%s may be disabled: %t, want %t", test.name, got, test.want)
		}
	}
}

// TestHolds checks that the order in which starts and ends arrive never matters.
func TestHolds(t *testing.T) {
	at := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Minute) }
	type told func(promise.Holds) promise.Holds
	start := func(agreement string, n int) told {
		return func(h promise.Holds) promise.Holds { return h.Started(agreement, at(n)) }
	}
	end := func(agreement string, n int) told {
		return func(h promise.Holds) promise.Holds { return h.Ended(agreement, at(n)) }
	}
	untimed := told(func(h promise.Holds) promise.Holds { return h.Started("", time.Time{}) })
	for _, test := range []struct {
		name string
		told []told
		held bool
	}{
		{"nothing", nil, false},
		{"a start", []told{start("", 1)}, true},
		{"an end", []told{end("*", 1)}, false},
		{"a tie is an end", []told{start("", 1), end("", 1)}, false},
		{"a return", []told{start("", 1), end("*", 2), start("", 3)}, true},
		{"a renewal", []told{start("a", 1), start("b", 2), end("a", 3)}, true},
		{"an end of all", []told{start("a", 1), start("b", 2), end("*", 3)}, false},
		{"no time", []told{untimed}, true},
		{"no time, and an end", []told{untimed, end("*", 1)}, false},
	} {
		forth, back := promise.Holds{}, promise.Holds{}
		for i := range test.told {
			forth, back = test.told[i](forth), test.told[len(test.told)-1-i](back)
		}
		if !forth.Equal(back) || forth.Held() != test.held {
			t.Errorf("%s: held: %t and %t, want %t", test.name, forth.Held(), back.Held(), test.held)
		}
	}
	h := start("", 1)(end("*", 2)(promise.Holds{}))
	if !h.Over("", at(2)) || !h.Over("", time.Time{}) || h.Over("", at(3)) || (promise.Holds{}).Over("", time.Time{}) {
		t.Error("Over: a sign-up must be over exactly if an end is not older")
	}
}

func TestUntouched(t *testing.T) {
	if faults := promise.Untouched(kept()); faults != nil {
		t.Errorf("faults are %q, want none", faults)
	}
	for what, change := range map[string]func(k *awslocal.Key){
		"changed": func(k *awslocal.Key) { k.LastUpdated = begun.Add(time.Hour) },
		"deleted": func(k *awslocal.Key) { k.Deleted = begun.Add(time.Hour) },
	} {
		a := kept()
		change(&a.keys[0])
		if len(promise.Untouched(a)) != 1 {
			t.Errorf("got no fault for a key that was %s", what)
		}
	}
}

// TestLeaks finds any eight characters of each value, and not seven.
func TestLeaks(t *testing.T) {
	const onKey, inSecret, extra = "k3y-0n-th3-k3y-4lone", "v4lu3-1n-4-s3cr3t-only", "3xtr4-v4lu3-0f-4-r3fus3d"
	a := kept()
	a.keys = append(a.keys, awslocal.Key{ID: "gone", Value: onKey, Deleted: begun})
	a.secrets = append(a.secrets, []awslocal.Secret{secret(pending(with("value", inSecret)))})
	for _, v := range []string{value, onKey, inSecret, extra} {
		for i := 0; i+8 <= len(v); i++ {
			if !promise.Leaks(a, []byte("before "+v[i:i+8]+" after"), extra) {
				t.Errorf("eight characters from index %d on are not found", i)
			}
			if promise.Leaks(a, []byte("before "+v[i:i+7]+" after"), extra) {
				t.Errorf("seven characters from index %d on are found", i)
			}
		}
	}
	if promise.Leaks(a, []byte("an ordinary text, and the id key1")) {
		t.Error("a value is found in a text without one")
	}
}

// TestCheck_LongName checks that a key is recognised by the hash of a name that is too long
// for a tag.
func TestCheck_LongName(t *testing.T) {
	a := kept()
	for i := range a.secrets[0] {
		a.secrets[0][i].Name = "apikeys@home/acme"
	}
	if faults := promise.Check(a); len(faults) != 1 {
		t.Errorf("a key tagged for %s: faults are %q, want one", name, faults)
	}
	a.keys[0].Tags["createkey:secret"] = "sha256/29ba7ea317e90ac58476cb9c99edc6868651f27e5c95d6a787c96c11f1ac687a"
	if faults := promise.Check(a); faults != nil {
		t.Errorf("faults are %q, want none", faults)
	}
}

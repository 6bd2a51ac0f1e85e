package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"createkey/internal/apikey"
	"createkey/internal/test/awslocal"
)

// Work in progress is no finding until it has lasted too long: each world is judged four
// minutes and two hours after it came to be.
func TestJudgeWaitsForWhatIsAtWork(t *testing.T) {
	begun := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	long := begun.AddDate(0, 0, -30)
	name := prefix + "x/Gold"
	tag := apikey.SecretTag(name)
	living := secret{name: name, written: long, finished: true, keyID: "k1", enabled: true, planned: true, created: long, tag: tag}
	key := func(id string, created time.Time) listedKey {
		return listedKey{id: id, enabled: true, created: created, tag: tag}
	}
	with := func(change func(*secret)) secret {
		s := living
		change(&s)
		return s
	}
	for what, test := range map[string]struct {
		secret   *secret
		keys     []listedKey
		attached bool
		want     *kind // after two hours; nil: none
	}{
		"all is well":                       {&living, []listedKey{key("k1", long)}, true, nil},
		"a new key that cannot be seen":     {ptr(with(func(s *secret) { s.created = begun })), nil, true, kindGone},
		"a new key in no plan yet":          {ptr(with(func(s *secret) { s.created = begun })), []listedKey{key("k1", begun)}, false, kindNoPlan},
		"an end that has yet to disable":    {ptr(with(func(s *secret) { s.finished, s.ended, s.written = false, true, begun })), []listedKey{key("k1", long)}, true, kindEnabled},
		"and its previous key":              {ptr(with(func(s *secret) { s.finished, s.ended, s.written, s.keyID, s.previous = false, true, begun, "k2", "k1" })), []listedKey{key("k1", long)}, true, kindEnabled},
		"and a key that it does not name":   {ptr(with(func(s *secret) { s.finished, s.ended, s.written, s.keyID = false, true, begun, "" })), []listedKey{key("k1", long)}, true, kindEnabled},
		"a key whose secret is not visible": {nil, []listedKey{key("k1", begun)}, true, kindNoRecord},
		"a pending record":                  {ptr(with(func(s *secret) { *s = secret{name: name, written: begun} })), nil, true, kindPending},
		"a pending record and its key":      {ptr(with(func(s *secret) { *s = secret{name: name, written: begun} })), []listedKey{key("k1", begun)}, true, kindPending},
		"a rotation and its next key":       {ptr(with(func(s *secret) { s.rotating, s.written = true, begun })), []listedKey{key("k1", long), key("k2", begun)}, true, kindPending},
		"a new key beside the record's":     {&living, []listedKey{key("k1", long), key("k2", begun)}, true, kindAnother},
	} {
		w := world{prefix: prefix, keys: map[string]listedKey{}, secrets: map[string]secret{}, attached: map[string]bool{}}
		if test.secret != nil {
			w.secrets[name] = *test.secret
		}
		for _, k := range test.keys {
			w.keys[k.id], w.attached[k.id] = k, test.attached
		}
		w.now = begun.Add(4 * time.Minute)
		if findings := w.judge(); findings != nil {
			t.Errorf("%s: found %s after four minutes, want nothing", what, findings[0].name)
		}
		w.now = begun.Add(2 * time.Hour)
		findings := w.judge()
		if (test.want == nil) != (findings == nil) || test.want != nil && (len(findings) != 1 || findings[0].kind != test.want) {
			t.Errorf("%s: %d findings after two hours", what, len(findings))
		}
	}
}

func ptr[T any](v T) *T { return &v }

// A record that changes while a suspicion is checked is no finding: here the key is issued
// again between the two reads of its record.
func TestAuditOfARecordThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		name, key := p.customer("x")
		p.deleteKey(key)
		time.Sleep(time.Hour)
		looks := 0
		p.aws.After = func(_ context.Context, c awslocal.Call) error {
			if c.Operation == "GetApiKey" && c.Path == "/apikeys/"+key {
				if looks++; looks == 1 {
					p.deleteSecret(name, 0)
					if got := p.signUp("x"); got != "created" {
						t.Errorf("issuing again: %s", got)
					}
				}
			}
			return nil
		}
		if findings := p.audit(); findings != nil || looks == 0 {
			t.Errorf("found %q after %d looks", findings, looks)
		}
	})
}

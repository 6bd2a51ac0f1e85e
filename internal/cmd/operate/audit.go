package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"createkey/internal/apikey"
)

const (
	// maxKeys is API Gateway's quota of keys for an account and Region, which AWS does not
	// raise; manyKeys is the number from which on somebody should act.
	maxKeys, manyKeys = 10_000, 8_000
	// settling is how long createkey's work may stay invisible or half done: a message whose
	// delivery failed comes again after three minutes.
	settling = 5 * time.Minute
	// patience is how long a record may be pending.
	patience = time.Hour
	// recheck is how often a suspicion is checked again while its record still changes.
	recheck = 3
)

// world is what an audit looks at: an account, or the few objects of one finding. An
// account of 10,000 keys takes some 10 MB: see TestManyKeys.
type world struct {
	prefix   string
	now      time.Time
	keys     map[string]listedKey // by id
	secrets  map[string]secret    // by name, those of the prefix
	attached map[string]bool      // ids of the keys that are in a usage plan; nil: not listed
}

// judge returns the findings, as far as the world shows.
func (w world) judge() (findings []finding) {
	for _, s := range w.secrets {
		findings = append(findings, w.judgeSecret(s)...)
	}
	return append(findings, w.judgeKeys()...)
}

func (w world) judgeSecret(s secret) (findings []finding) {
	add := func(k *kind, keyID, what string) {
		findings = append(findings, finding{kind: k, keyID: keyID, secretName: s.name, what: what})
	}
	old := func(t time.Time, age time.Duration) bool { return w.now.Sub(t) > age }
	key, exists := w.keys[s.keyID]
	switch {
	case s.scheduled: // its keys are reported
	case errors.Is(s.fault, apikey.ErrNewer):
		add(kindNewer, "", "the record has a format that this version does not know")
	case s.fault != nil:
		add(kindForeign, "", "it holds no record of createkey's: "+s.fault.Error())
	case s.tag != "" && s.tag != apikey.SecretTag(s.name):
		add(kindAnother, s.keyID, "it holds the record of another secret, "+s.tag)
	case s.ended:
		for _, id := range []string{s.keyID, s.previous} {
			if w.keys[id].enabled && old(s.written, settling) {
				add(kindEnabled, id, "the record says that it has ended, and the key is enabled")
			}
		}
	case !s.finished:
		if old(s.written, patience) {
			add(kindPending, "", "the record is pending since "+s.written.UTC().Format(time.RFC3339))
		}
	default:
		if s.rotating && old(s.written, patience) {
			add(kindPending, s.keyID, "a rotation is under way since "+s.written.UTC().Format(time.RFC3339))
		}
		switch {
		case !exists:
			if old(s.created, settling) {
				add(kindGone, s.keyID, "the record names the key, and it is gone from API Gateway")
			}
			return findings
		case key.tag != "" && key.tag != apikey.SecretTag(s.name):
			add(kindAnother, s.keyID, "the record names the key, and the key's tag is another secret's, "+key.tag)
		}
		if s.enabled && !key.enabled {
			add(kindDisabled, s.keyID, "the record says that the key lives, and it is disabled")
		}
		if s.planned && w.attached != nil && !w.attached[s.keyID] && old(key.created, settling) {
			add(kindNoPlan, s.keyID, "the record names usage plans, and the key is in none")
		}
	}
	return findings
}

// judgeKeys judges the keys that no record names and that bear a tag with the prefix.
func (w world) judgeKeys() (findings []finding) {
	named, byTag := w.named(), map[string]secret{}
	for _, s := range w.secrets {
		byTag[apikey.SecretTag(s.name)] = s
	}
	for id, k := range w.keys {
		name, ours := w.secretOf(k)
		if s, known := byTag[k.tag]; known {
			name, ours = s.name, true
		}
		if named[id] || !ours || w.now.Sub(k.created) <= settling {
			continue
		}
		add := func(k *kind, what string) {
			findings = append(findings, finding{kind: k, keyID: id, secretName: name, what: what})
		}
		s, known := w.secrets[name]
		switch {
		case !known:
			add(kindNoRecord, "the key bears createkey's tag, and there is no such secret")
		case s.scheduled:
			add(kindScheduled, "the key bears createkey's tag, and its secret is scheduled for deletion")
		case !k.enabled, s.fault != nil: // of an earlier generation, or fenced; or the secret is reported
		case s.ended && w.now.Sub(s.written) > settling:
			add(kindEnabled, "the record says that it has ended, and a key with its tag is enabled")
		case s.finished && !s.rotating:
			add(kindAnother, "the key bears the secret's tag and is enabled, and the record names key "+s.keyID)
		}
	}
	return findings
}

// named returns the ids of the keys that records name.
func (w world) named() map[string]bool {
	named := make(map[string]bool, len(w.secrets))
	for _, s := range w.secrets {
		named[s.keyID], named[s.previous] = true, true
	}
	delete(named, "")
	return named
}

// secretOf returns the name of the secret that a key's tag names, and whether it has the
// prefix. A hashed name is unknown, unless it is the hash for the key's own customer and
// name.
func (w world) secretOf(k listedKey) (name string, ours bool) {
	if strings.HasPrefix(k.tag, w.prefix) {
		return k.tag, true
	}
	name, err := apikey.SecretName(w.prefix, k.customerID, k.name, "")
	return name, err == nil && k.tag != "" && k.tag == apikey.SecretTag(name)
}

// auditCommand audits an account and reports. It keeps nothing: an interrupted audit
// starts again. The error is errNeedsAction if there are findings.
func auditCommand(ctx context.Context, a *account, prefix string, r report, p *progress) error {
	w, findings, err := audit(ctx, a, prefix, p)
	p.done()
	if err != nil {
		return err
	}
	for _, f := range findings {
		r.finding(f)
	}
	r.summary(len(w.keys), len(w.secrets), len(findings))
	if len(w.secrets) == 0 {
		p.note("no secret has the prefix " + strconv.Quote(prefix) + ": is it this stack's?")
	}
	if len(findings) > 0 {
		return errNeedsAction
	}
	return nil
}

// audit reads all keys, all records, and the usage plans' keys. Before it reports a
// suspicion, it asks AWS about that one again, because the function is at work meanwhile.
func audit(ctx context.Context, a *account, prefix string, p *progress) (w world, findings []finding, err error) {
	w = world{prefix: prefix}
	var tagged bool
	if w.keys, tagged, err = a.listKeys(ctx, p); err != nil {
		return w, nil, err
	}
	if w.secrets, err = a.listSecrets(ctx, prefix, p); err != nil {
		return w, nil, err
	}
	planned := func(s secret) bool { return s.finished && s.planned }
	if slices.ContainsFunc(slices.Collect(maps.Values(w.secrets)), planned) {
		if w.attached, err = a.keysOfPlans(ctx, p); err != nil {
			return w, nil, err
		}
	}
	if !tagged {
		if err := w.readTags(ctx, a, p); err != nil {
			return w, nil, err
		}
	}
	w.now = time.Now()
	suspicions := w.judge()
	for i, suspicion := range suspicions {
		p.tell("findings looked at again", i)
		again, err := w.lookAgain(ctx, a, suspicion)
		if err != nil {
			return w, nil, err
		}
		findings = append(findings, again...)
	}
	if len(w.keys) >= manyKeys {
		findings = append(findings, finding{kind: kindQuota, what: fmt.Sprintf("the account has %d of its %d keys", len(w.keys), maxKeys)})
	}
	slices.SortFunc(findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.secretName, b.secretName), cmp.Compare(a.keyID, b.keyID))
	})
	return w, findings, nil
}

// readTags gets the tags of the keys that no record names, if the list shows none: half a
// second for each.
func (w world) readTags(ctx context.Context, a *account, p *progress) error {
	named := w.named()
	unnamed := slices.DeleteFunc(slices.Sorted(maps.Keys(w.keys)), func(id string) bool { return named[id] })
	for i, id := range unnamed {
		k, exists, err := a.key(ctx, id)
		if err != nil {
			return err
		}
		delete(w.keys, id)
		if exists {
			w.keys[id] = k
		}
		p.tell(fmt.Sprintf("tags of %d keys without a record", len(unnamed)), i+1)
	}
	return nil
}

// lookAgain reads just what a suspicion is about, and returns the finding if it still holds:
// the record, its keys, and the record once more, which must not have changed meanwhile.
func (w world) lookAgain(ctx context.Context, a *account, suspicion finding) ([]finding, error) {
	for range recheck {
		before, err := a.secret(ctx, suspicion.secretName)
		if err != nil {
			return nil, err
		}
		small := world{prefix: w.prefix, keys: map[string]listedKey{}, secrets: map[string]secret{}}
		ids := []string{suspicion.keyID}
		if before != nil {
			small.secrets[before.name] = *before
			ids = append(ids, before.keyID, before.previous)
		}
		for _, id := range ids {
			if _, known := small.keys[id]; known || id == "" {
				continue
			}
			k, exists, err := a.key(ctx, id)
			if err != nil {
				return nil, err
			}
			if exists {
				small.keys[id] = k
			}
		}
		if suspicion.kind == kindNoPlan {
			plans, err := a.plans(ctx, suspicion.keyID)
			if err != nil {
				return nil, err
			}
			small.attached = map[string]bool{suspicion.keyID: len(plans) > 0}
		}
		after, err := a.secret(ctx, suspicion.secretName)
		if err != nil {
			return nil, err
		}
		// Everything kept is compared, because a secret that was deleted and re-created has
		// versions with the same ids.
		if (before == nil) != (after == nil) || before != nil && *before != *after {
			continue
		}
		small.now = time.Now()
		return slices.DeleteFunc(small.judge(), func(f finding) bool {
			return f.kind != suspicion.kind || f.keyID != suspicion.keyID || f.secretName != suspicion.secretName
		}), nil
	}
	return nil, nil // createkey is working on it
}

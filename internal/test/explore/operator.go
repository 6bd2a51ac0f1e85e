package explore

import "strings"

// note is a member that an operator adds to a record.
const note = `,"note":"by hand"}`

// An act is something that the operator does.
type act struct {
	after account
	what  string
}

// acts returns all that the operator may do at an account, by section 3 of the contract;
// idle: no delivery is in flight. In the scene "early" the operator does not wait for that.
func (e *explorer) acts(a *account, idle bool) (acts []act) {
	does := func(what string, change func(*account)) {
		after := *a
		change(&after)
		acts = append(acts, act{after, what})
	}
	r := e.record(a.current())
	waited := false // a minute has passed since this key's record was finished
	if a.oldest > 0 {
		old := e.record(a.versions[a.oldest-1].record)
		waited = old.finished && old.key == r.key
	}
	if r.finished && r.key >= 0 && a.keys[r.key].exists() {
		k := a.keys[r.key]
		if !k.disabled {
			does("disables "+keyID(r.key), func(a *account) { a.keys[r.key].disabled = true })
		}
		if waited && !k.detached && k.attached&a.plans != 0 {
			does("takes "+keyID(r.key)+" out of its plans", func(a *account) { a.keys[r.key].attached, a.keys[r.key].detached = 0, true })
		}
		if waited && !k.untagged {
			does("takes the tags off "+keyID(r.key), func(a *account) { a.keys[r.key].untagged = true })
		}
		if waited {
			does("deletes "+keyID(r.key), func(a *account) { a.keys[r.key].deleted = a.clock })
		}
	}
	if noted := strings.HasSuffix(e.texts[a.current()], note); r.finished && !noted && !a.scheduled {
		does("writes a note into the finished record by hand", func(a *account) {
			a.put(version{e.text(strings.TrimSuffix(e.texts[a.current()], "}") + note), e.text("by hand")})
		})
	}
	if a.exists && r.ours && !e.scene.lives {
		if a.scheduled {
			does("restores the secret", func(a *account) { a.scheduled = false })
		} else {
			does("schedules the secret's deletion", func(a *account) { a.scheduled = true })
		}
		gone := r.finished && waited && r.key >= 0 && !a.keys[r.key].exists()
		never := !r.finished && a.oldest == a.n && idle && a.bearer(r.value) < 0
		if gone || never {
			does("deletes the secret without a recovery window", deleteSecret)
		} else if e.scene.early {
			does("deletes the secret without a recovery window, too early", func(a *account) { deleteSecret(a); a.early = true })
		}
	}
	for i, k := range a.keys {
		if e.scene.early && k.exists() && !k.foreign && (!r.finished || !waited) {
			does("deletes "+keyID(int8(i))+", too early", func(a *account) { a.keys[i].deleted, a.early = a.clock, true })
		}
	}
	for i := range planCount {
		if e.scene.plansChange && a.plans&(1<<i) != 0 {
			does("deletes "+planID(i), func(a *account) { a.plans &^= 1 << i })
		}
	}
	return acts
}

func deleteSecret(a *account) { a.exists, a.scheduled, a.written = false, false, a.clock }

package explore

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A way is one way in which a call may go: what happens to the account, and what the delivery
// sees.
type way struct {
	after account
	seen  observation
	fault bool   // counts as one of the history's faults
	what  string // for the history; empty: what is seen
}

// ways appends to a buffer all ways in which a call may go at an account, the one without a
// fault first. Each is from AWS's documentation, or was observed on AWS.
func (e *explorer) ways(buffer []way, a *account, o *operation) []way {
	ways := e.answered(buffer[:0], a, o)
	return append(ways, way{*a, observation{code: throttled}, true, "refused without effect"})
}

func (e *explorer) answered(ways []way, a *account, o *operation) []way {
	add := func(fault bool, after *account, seen observation, what string) {
		ways = append(ways, way{*after, seen, fault, what})
	}
	is := func(c code) observation { return observation{code: c} }
	// effect adds the ways of a call that has an effect.
	effect := func(after *account, seen observation) {
		add(false, after, seen, "")
		add(true, after, is(lost), "takes effect, the answer is lost")
		add(true, after, is(incomplete), "takes effect, the answer is incomplete")
	}
	switch o.call {
	case createSecret:
		switch {
		case a.exists && a.scheduled:
			add(false, a, is(invalid), "scheduled for deletion")
		case a.exists: // no two deliveries share a token
			add(false, a, is(exists), "")
		default:
			made := *a
			made.life++
			made.exists, made.n, made.oldest, made.versions = true, 0, 0, [mostVersions]version{}
			made.put(version{o.record, o.token})
			made.accept(e.record(o.record))
			effect(&made, observation{life: made.life})
			if a.life > 0 {
				add(true, a, is(invalid), "the name is not free yet")
			}
		}

	case getSecretValue:
		show := func(fault bool, i int8, what string) {
			add(fault, a, observation{record: a.versions[i].record, life: a.life}, what)
		}
		switch {
		case a.exists && a.scheduled:
			add(false, a, is(invalid), "scheduled for deletion")
		case !a.exists:
			add(false, a, is(notFound), "")
			if a.n > 0 && a.written == a.clock {
				show(true, a.n-1, "stale: "+e.show(a.versions[a.n-1].record)+" of the deleted secret")
			}
		default:
			show(false, a.n-1, e.show(a.current()))
			for n := a.oldest; n < a.n; n++ {
				if n == 0 {
					add(true, a, is(notFound), "stale: NotFound")
				} else {
					show(true, n-1, "stale: "+e.show(a.versions[n-1].record))
				}
			}
		}

	case putSecretValue:
		found := a.exists && (o.secret == secretName || o.secret == arn(a.life))
		switch {
		case !found:
			add(false, a, is(notFound), "")
		case a.scheduled:
			add(false, a, is(invalid), "scheduled for deletion")
		default:
			for _, v := range a.versions[:a.n] {
				if v.token == o.token && v.record == o.record {
					effect(a, observation{life: a.life})
					break
				} else if v.token == o.token {
					add(false, a, is(exists), "")
					break
				}
			}
			if len(ways) == 0 {
				put := *a
				if !put.put(version{o.record, o.token}) {
					break
				}
				r := e.record(o.record)
				put.accept(r)
				if r.finished && r.key >= 0 {
					put.keys[r.key].recorded = true
				}
				effect(&put, observation{life: a.life})
			}
			if a.oldest == 0 {
				add(true, a, is(notFound), "stale: NotFound")
			}
		}

	case createAPIKey:
		if aws.ToString(e.inputs[o.input].Description) == refused {
			add(false, a, is(invalid), "BadRequest")
			break
		}
		if a.bearer(o.value) >= 0 {
			add(false, a, is(conflict), "")
			break
		}
		made := *a
		i := made.addKey(key{input: o.input, value: o.value, created: a.clock, life: a.life})
		if i < 0 {
			break
		}
		seen := observation{}
		seen.keys[i] = made.keys[i].shown()
		effect(&made, seen)
		add(true, &made, is(conflict), "takes effect, the answer is lost, and the SDK's retry gets Conflict")
		add(true, a, is(conflict), "spurious Conflict")

	case getAPIKeys:
		all, young, old := observation{}, observation{}, observation{}
		for i, k := range a.keys {
			if k.exists() {
				all.keys[i], old.keys[i] = k.listed(), k.listed()
				if k.created+visibleWithin > a.clock && !k.foreign {
					continue
				}
				young.keys[i] = k.listed()
			} else if k.input != 0 && k.deleted == a.clock {
				old.keys[i] = k.listed()
			}
		}
		add(false, a, all, "")
		if young != all {
			add(true, a, young, "stale: lacks the young key")
		}
		if old != all {
			add(true, a, old, "stale: still has the deleted key")
		}

	case getAPIKey:
		if o.key == theirs {
			add(false, a, observation{life: 1}, "foreign")
			break
		}
		if o.key < 0 || a.keys[o.key].input == 0 {
			add(false, a, is(notFound), "")
			break
		}
		k, seen := a.keys[o.key], observation{}
		seen.keys[o.key] = k.shown()
		if k.exists() {
			add(false, a, seen, "")
			if k.created+visibleWithin > a.clock && !k.foreign {
				add(true, a, is(notFound), "stale: NotFound")
			}
			add(true, a, is(incomplete), "the answer is incomplete")
		} else {
			add(false, a, is(notFound), "")
			if k.deleted == a.clock {
				add(true, a, seen, "stale: shows the deleted key")
			}
		}

	case updateAPIKey:
		if o.key < 0 || !a.keys[o.key].exists() {
			add(false, a, is(notFound), "")
			break
		}
		updated := *a
		if k := &updated.keys[o.key]; o.enable {
			k.revived = true
		} else if e.inputs[k.input].Enabled {
			k.stopped = true
		}
		add(false, &updated, is(fine), "")
		add(true, &updated, is(lost), "takes effect, the answer is lost")
		add(true, a, is(conflict), "Conflict, for a concurrent change")
		if a.keys[o.key].created+visibleWithin > a.clock && !a.keys[o.key].foreign {
			add(true, a, is(notFound), "stale: NotFound")
		}

	case createUsagePlanKey:
		switch {
		case o.key < 0 || o.plan < 0 || !a.keys[o.key].exists() || a.plans&(1<<o.plan) == 0:
			add(false, a, is(notFound), "")
		case a.keys[o.key].attached&(1<<o.plan) != 0:
			add(false, a, is(conflict), "Conflict: it is attached")
		default:
			attached := *a
			attached.keys[o.key].attached |= 1 << o.plan
			effect(&attached, is(fine))
			add(true, &attached, is(conflict), "takes effect, the answer is lost, and the SDK's retry gets Conflict")
			add(true, a, is(conflict), "spurious Conflict")
			if a.keys[o.key].created+visibleWithin > a.clock {
				add(true, a, is(notFound), "stale: NotFound")
			}
		}

	case getUsagePlanKey:
		if o.key >= 0 && o.plan >= 0 && a.keys[o.key].exists() && a.keys[o.key].attached&(1<<o.plan) != 0 && a.plans&(1<<o.plan) != 0 {
			add(false, a, is(fine), "")
			if a.keys[o.key].created == a.clock {
				add(true, a, is(notFound), "stale: NotFound")
			}
			add(true, a, is(incomplete), "the answer is incomplete")
		} else {
			add(false, a, is(notFound), "")
		}

	case getUsagePlan:
		if o.plan < 0 || a.plans&(1<<o.plan) == 0 {
			add(false, a, is(notFound), "")
		} else {
			add(false, a, is(fine), "")
		}

	case getUsagePlans:
		add(false, a, observation{life: int8(a.plans)}, "")

	case getUsagePlansOfKey:
		if o.key < 0 || !a.keys[o.key].exists() {
			add(false, a, is(notFound), "")
			break
		}
		k := a.keys[o.key]
		add(false, a, observation{life: int8(a.plans & k.attached)}, "")
		if a.plans&k.attached != 0 && k.created+visibleWithin > a.clock {
			add(true, a, observation{}, "stale: no plan of the young key")
		}
	}
	return ways
}

// accept remembers the values of a record that Secrets Manager has accepted.
func (a *account) accept(r record) {
	a.accepted |= (1<<r.value | 1<<r.next) &^ 1
}

// shown is GetApiKey's answer for a key.
func (k key) shown() key {
	return key{input: k.input, created: k.created, disabled: k.disabled || k.stopped, untagged: k.untagged}
}

// listed is GetApiKeys' answer for a key, as far as it matters.
func (k key) listed() key { return key{input: k.input} }

// show describes a record for the history.
func (e *explorer) show(n text) string { return e.showRecord(e.record(n)) }

func (e *explorer) showRecord(r record) string {
	told := "pending, " + r.value.String()
	switch {
	case r.newer:
		return "a record of a later version"
	case !r.ours:
		return "no marker"
	case r.HasEnded() && r.value == 0:
		return "ended before it began"
	case r.HasEnded():
		told = "ended, " + r.value.String()
	case r.finished:
		told = "finished, " + keyID(r.key)
	}
	if r.Number() > 1 {
		told += ", generation " + strconv.Itoa(r.Number())
	}
	if r.next != 0 {
		told += ", next " + r.next.String()
	}
	return told
}

package function

import (
	"encoding/json"
	"fmt"
	"testing"

	"createkey/internal/test/awslocal"
	"createkey/internal/test/payload"
)

// notification returns what Marketplace publishes, with the blanks of AWS's samples.
func notification(action, offer string) string {
	return asJSON(map[string]string{
		"action": action, "customer-identifier": " cust", "product-code": "prod", "offer-identifier": offer, "isFreeTrialTermPresent": "true",
	})
}

func licence(id, account, product, agreement string) string {
	return asJSON(map[string]any{
		"version": "0", "id": id, "source": "aws.agreement-marketplace", "detail-type": "License Updated - Manufacturer",
		"detail": map[string]any{
			"agreement": map[string]string{"id": agreement}, "product": map[string]string{"code": product}, "acceptor": map[string]string{"accountId": account},
			"license": map[string]string{"arn": "arn:aws:license-manager::294406891311:license:l-1"}, "offer": map[string]string{"id": "offer-1"},
		},
	})
}

func viaTopic(message string) string {
	return payload.Notification("n1", message)
}

func TestSignUpBecomesAnEnabledKeyInThePlanOfItsProduct(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.aws.AddUsagePlan(awslocal.UsagePlan{ID: "market", ProductCode: "prod"})
		e.invoke(sqsBatch(
			viaTopic(notification("subscribe-success", "offer-1")),
			licence("e1", "444455556666", "prod", "agmt-1"),
			licence("e2", "444455556666", "prod", "agmt-2"),
		))
		e.wantLog("m0 created", "m1 created", "m2 existing") // one key for a customer and product
		want := map[string]string{
			"test/cust/prod":         "map[marketplace:offer-id:offer-1 marketplace:product-code:prod]",
			"test/444455556666/prod": "map[marketplace:agreement-id:agmt-1 marketplace:offer-id:offer-1 marketplace:product-code:prod]",
		}
		for _, k := range e.aws.Keys() {
			secret := k.Tags["createkey:secret"]
			delete(k.Tags, "createkey:secret")
			delete(k.Tags, "createkey:request")
			if fmt.Sprint(k.Tags) != want[secret] || !k.Enabled || fmt.Sprint(e.aws.UsagePlanKeys(k.ID)) != "[market]" {
				e.Errorf("%s: wrong key: tags %v, enabled %t, plans %v", secret, k.Tags, k.Enabled, e.aws.UsagePlanKeys(k.ID))
			}
			delete(want, secret)
		}
		if len(want) > 0 {
			e.Errorf("got no keys for %v", want)
		}

		// Entitlements change, the offer is renewed, and a sender asks without Marketplace.
		e.invoke(sqsBatch(notification("subscribe-success", "offer-2"), licence("e9", "444455556666", "prod", "agmt-1"),
			`{"customerId":"cust","name":"prod","enabled":true}`))
		e.wantLog("m0 existing", "m1 existing", "m2 existing")
	})
}

func TestSignUpWithoutAPlanSaysSo(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		for _, status := range []string{"created", "existing"} {
			answer, _, _ := e.invoke(notification("subscribe-success", ""))
			var got ready
			if err := json.Unmarshal([]byte(answer), &got); err != nil || got.UsagePlanIDs == nil || len(got.UsagePlanIDs) > 0 {
				e.Errorf("answered %s, want an empty list of usage plans", answer)
			}
			e.wantLog("invocation-1 " + status + `: the key is in no usage plan: none had product code "prod"`)
		}
	})
}

func TestOtherMarketplaceMessagesAreRejected(t *testing.T) {
	inEnvironment(t, func(e *environment) {
		e.wantAnswer(sqsBatch(viaTopic(notification("unsubscribe-pending", "")), licence("e1", "", " ", "a")), failures("m0", "m1"))
		e.wantLog(`m0 rejected: action: "unsubscribe-pending" of AWS Marketplace makes no key and ends none: meter for the last time`,
			"m1 rejected: detail.acceptor.accountId: must not be empty; detail.product.code: must not be empty")
		if calls := e.calls(); calls != "" {
			e.Errorf("calls were %s, want none", calls)
		}
	})
}

// agreement returns an event about an agreement, at a minute of an hour.
func agreement(detailType, id string, minute int) string {
	return asJSON(map[string]any{
		"version": "0", "id": fmt.Sprint(detailType, id, minute), "source": "aws.agreement-marketplace", "detail-type": detailType + " - Manufacturer",
		"time": fmt.Sprintf("2026-11-27T12:%02d:00Z", minute),
		"detail": map[string]any{
			"agreement": map[string]string{"id": id}, "product": map[string]string{"code": "prod"}, "acceptor": map[string]string{"accountId": "4"},
			"license": map[string]string{"arn": "aws:license-manager::294406891311:license:l-" + id},
		},
	})
}

// A renewal is another agreement. AWS does not say whether its start or the old one's end
// comes first.
func TestRenewalKeepsTheKeyWhateverComesFirst(t *testing.T) {
	start, end := agreement("License Updated", "agmt-2", 2), agreement("License Deprovisioned", "agmt-1", 3)
	for _, order := range [][]string{{start, end}, {end, start}} {
		inEnvironment(t, func(e *environment) {
			e.invoke(sqsBatch(agreement("License Updated", "agmt-1", 1)))
			e.wantLog("m0 created")
			first := e.aws.Keys()[0].ID
			for _, body := range order {
				e.invoke(sqsBatch(body))
				e.lines()
			}
			renewed := order[1] == end // otherwise the old one ended before the new one was known
			enabled := 0
			for _, k := range e.aws.Keys() {
				if k.Enabled {
					enabled++
					if renewed && k.ID != first {
						e.Errorf("key %s is enabled, want the first, %s", k.ID, first)
					}
				}
			}
			if enabled != 1 {
				e.Errorf("%d keys are enabled, want 1", enabled)
			}
			e.invoke(sqsBatch(agreement("License Deprovisioned", "agmt-2", 4)))
			e.wantLog("m0 ended")
			for _, k := range e.aws.Keys() {
				if k.Enabled {
					e.Errorf("key %s is enabled, want none", k.ID)
				}
			}
		})
	}
}

package provision

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/apikey"
)

// keyList is a list of keys as far as it was read. No filter of API Gateway knows a
// key's value, so a key is found by reading the list. A batch that was stopped behind
// CreateApiKey has a Conflict for every message, and in a full account each of them
// would read the same 20 pages; so what was read is kept for the invocation.
type keyList struct {
	pages *apigateway.GetApiKeysPaginator
	read  []listedKey
}

// listedKey is all that is kept of a key in a list.
type listedKey struct {
	id    string
	value apikey.Value
}

// ForgetLists drops the lists of keys that were read. Call it at the start of every
// invocation: a key made since then is in none of them.
func (p *Provisioner) ForgetLists() { clear(p.lists) }

// findInList returns the id of the key that bears a value among those whose names begin
// with a prefix, or an empty string. It may overlook a key that was made after the list
// was begun, which the message's next delivery finds.
func (p *Provisioner) findInList(ctx context.Context, namePrefix string, value apikey.Value) (string, error) {
	list := p.lists[namePrefix]
	if list == nil {
		in := &apigateway.GetApiKeysInput{IncludeValues: aws.Bool(true), Limit: aws.Int32(mostPerPage), NameQuery: optional(namePrefix)}
		list = &keyList{pages: apigateway.NewGetApiKeysPaginator(p.keys, in)}
		p.lists[namePrefix] = list
	}
	for i := 0; ; i++ {
		for i == len(list.read) {
			if !list.pages.HasMorePages() {
				return "", nil
			}
			page, err := list.pages.NextPage(ctx)
			if err != nil {
				return "", err
			}
			for _, key := range page.Items {
				list.read = append(list.read, listedKey{aws.ToString(key.Id), apikey.NewValue(aws.ToString(key.Value))})
			}
		}
		if list.read[i].value.Equal(value) {
			return list.read[i].id, nil
		}
	}
}

package provision

import (
	"context"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"createkey/internal/apikey"
)

// keySearch finds keys by their values, which no filter of API Gateway knows. A
// batch that was stopped behind CreateApiKey has a Conflict for every message, and in
// a full account each would read the same 20 pages. At the lowest rate, a call a
// second, no time would be left for any. So those who search one list at the same
// time share its pages. A list lives as long as somebody reads it.
type keySearch struct {
	keys  keysAPI
	mu    sync.Mutex
	lists map[string]*keyList // by name prefix
}

// keyList is one list of keys, read page by page.
type keyList struct {
	readers int           // keySearch.mu guards it
	turn    chan struct{} // who holds it may use what is below
	pages   *apigateway.GetApiKeysPaginator
	read    [][]listedKey
}

// listedKey is all that is kept of a key while its list is read.
type listedKey struct {
	id    string
	value apikey.Value
}

// find returns the id of the key that bears a value, or nothing, among those whose
// names begin with a prefix. A key that was made after another search has read past
// its place is not found: it is sought again when the message comes again.
func (s *keySearch) find(ctx context.Context, namePrefix string, value apikey.Value) (string, error) {
	list := s.join(namePrefix)
	defer s.leave(namePrefix, list)
	for i := 0; ; i++ {
		page, more, err := list.page(ctx, i)
		if !more || err != nil {
			return "", err
		}
		for _, key := range page {
			if key.value.Equal(value) {
				return key.id, nil
			}
		}
	}
}

func (s *keySearch) join(namePrefix string) *keyList {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.lists[namePrefix]
	if list == nil {
		in := &apigateway.GetApiKeysInput{IncludeValues: aws.Bool(true), Limit: aws.Int32(mostPerPage), NameQuery: optional(namePrefix)}
		list = &keyList{turn: make(chan struct{}, 1), pages: apigateway.NewGetApiKeysPaginator(s.keys, in)}
		s.lists[namePrefix] = list
	}
	list.readers++
	return list
}

func (s *keySearch) leave(namePrefix string, list *keyList) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list.readers--; list.readers == 0 {
		delete(s.lists, namePrefix)
	}
}

// page returns a page of the list; behind the last one there is no more.
func (l *keyList) page(ctx context.Context, i int) (page []listedKey, more bool, err error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, false, &aws.RequestCanceledError{Err: ctx.Err()}
	}
	if i == len(l.read) {
		if !l.pages.HasMorePages() {
			return nil, false, nil
		}
		next, err := l.pages.NextPage(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, key := range next.Items {
			page = append(page, listedKey{aws.ToString(key.Id), apikey.NewValue(aws.ToString(key.Value))})
		}
		l.read = append(l.read, page)
	}
	return l.read[i], true, nil
}

package promise

// telling is how many consecutive characters of a value count as a leak.
const telling = 8

// Leaks reports whether a text contains eight consecutive characters of a value that the account
// holds or ever held, on a key or in a secret, or of an extra one, such as that of a refused
// request.
func Leaks(a Account, text []byte, extra ...string) bool {
	values := extra[:len(extra):len(extra)]
	for _, k := range a.KeysEver() {
		values = append(values, string(k.Value))
	}
	for _, states := range a.SecretsEver() {
		for _, s := range states {
			for _, v := range s.Versions {
				r := Decode(v)
				values = append(values, string(r.Value), string(r.Next.Value))
			}
		}
	}
	p := Parts{}
	for _, v := range values {
		p.Add(v)
	}
	return p.In(string(text))
}

// Parts is the set of all runs of eight characters of some values.
type Parts map[string]struct{}

// Add adds the parts of a value. A value of fewer than eight characters has none.
func (p Parts) Add(value string) {
	for i := 0; i+telling <= len(value); i++ {
		p[value[i:i+telling]] = struct{}{}
	}
}

// In reports whether a text contains a part.
func (p Parts) In(text string) bool {
	for i := 0; i+telling <= len(text); i++ {
		if _, found := p[text[i:i+telling]]; found {
			return true
		}
	}
	return false
}

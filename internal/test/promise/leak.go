package promise

// telling is how many characters of a value in a row tell of it.
const telling = 8

// Leaks reports whether a text holds eight characters in a row of any value that the
// account holds or ever held, on a key or in a secret, or of an extra one: of a
// request that was refused, say.
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

// Parts are all runs of eight characters of values.
type Parts map[string]struct{}

// Add adds the parts of a value. One of fewer than eight characters has none.
func (p Parts) Add(value string) {
	for i := 0; i+telling <= len(value); i++ {
		p[value[i:i+telling]] = struct{}{}
	}
}

// In reports whether a text holds a part.
func (p Parts) In(text string) bool {
	for i := 0; i+telling <= len(text); i++ {
		if _, found := p[text[i:i+telling]]; found {
			return true
		}
	}
	return false
}

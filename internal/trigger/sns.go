package trigger

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // signatures of version 1 are made with it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/hostconf"
)

// snsMessage is a message of SNS (Amazon SNS developer guide: parsing message
// formats).
type snsMessage struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string
	TopicArn         string
	Subject          *string
	Message          string
	SubscribeURL     string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
}

// The types of messages.
const (
	snsNotification = "Notification"
	snsSubscribe    = "SubscriptionConfirmation"
	snsUnsubscribe  = "UnsubscribeConfirmation"
)

var (
	snsHost      = regexp.MustCompile(`^sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)
	snsMessageID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// snsAddress checks that an address is one of SNS itself, in the region and
// partition of the topic.
func snsAddress(text, topic string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || !snsHost.MatchString(u.Host) || len(text) > 2048 {
		return nil, false
	}
	parts := strings.Split(topic, ":") // arn:aws:sns:REGION:ACCOUNT:NAME
	return u, len(parts) == 6 && strings.HasPrefix(u.Host, "sns."+parts[3]+".amazonaws.com")
}

// parse reads the message and refuses what cannot be one for this trigger. Nothing
// in it is believed yet; it only says what to check it with.
func (t *source) parseSNS(r Request) (*snsMessage, error) {
	if r.Header.Get("x-amz-sns-rawdelivery") != "" {
		return nil, refuse(http.StatusBadRequest, "raw delivery leaves out the signature; switch it off for the subscription")
	}
	var m snsMessage
	if err := unmarshal(r.Body, &m); err != nil {
		return nil, err
	}
	switch {
	case m.Signature == "" || m.SigningCertURL == "":
		return nil, refuse(http.StatusUnauthorized, "the message is not signed")
	case m.Type != snsNotification && m.Type != snsSubscribe && m.Type != snsUnsubscribe:
		return nil, refuse(http.StatusBadRequest, "the type of the message is not known here")
	case !slices.Contains(t.Topics, m.TopicArn):
		return nil, refuse(http.StatusForbidden, "the topic is not one that this trigger is for")
	case !snsMessageID.MatchString(m.MessageID):
		return nil, refuse(http.StatusBadRequest, "MessageId is malformed")
	}
	if u, ok := snsAddress(m.SigningCertURL, m.TopicArn); !ok || !strings.HasSuffix(u.Path, ".pem") || u.RawQuery != "" || u.Fragment != "" {
		return nil, refuse(http.StatusForbidden, "the certificate is not one of SNS")
	}
	return &m, t.fresh(m.Timestamp)
}

// fresh refuses a message that is too old.
func (t *source) fresh(stamp string) error {
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return refuse(http.StatusBadRequest, "Timestamp is malformed")
	}
	if age := t.set.now().Sub(at); age > t.Tolerance.Span || age < -10*time.Minute {
		return refuse(http.StatusForbidden, "the message is too old, or a clock is wrong")
	}
	return nil
}

// canonical is the text that is signed.
func (m *snsMessage) canonical() []byte {
	pairs := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageID}}
	if m.Type == snsNotification {
		if m.Subject != nil {
			pairs = append(pairs, [2]string{"Subject", *m.Subject})
		}
		pairs = append(pairs, [2]string{"Timestamp", m.Timestamp})
	} else {
		pairs = append(pairs, [2]string{"SubscribeURL", m.SubscribeURL}, [2]string{"Timestamp", m.Timestamp}, [2]string{"Token", m.Token})
	}
	pairs = append(pairs, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString(p[0] + "\n" + p[1] + "\n")
	}
	return []byte(b.String())
}

// errNotFetched says that a certificate has to be fetched first.
var errNotFetched = errors.New("not fetched yet")

// verify checks the signature with the certificate of the cache.
func (m *snsMessage) verify(s *Set) error {
	text, _, err := s.cache.get(kindCertificate, m.SigningCertURL)
	if errors.Is(err, fs.ErrNotExist) {
		return errNotFetched
	}
	if err != nil {
		return err
	}
	u, _ := snsAddress(m.SigningCertURL, m.TopicArn)
	leaf, err := chain(text, u.Host, s.roots, s.now())
	if err != nil {
		return refuse(http.StatusForbidden, "the certificate is not one of SNS")
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return refuse(http.StatusForbidden, "the certificate is not one of SNS")
	}
	got, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(got) > 1024 {
		return refuse(http.StatusBadRequest, "the signature is malformed")
	}
	signedText := m.canonical()
	switch m.SignatureVersion {
	case "2":
		sum := sha256.Sum256(signedText)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], got)
	case "1":
		// x509 refuses SHA-1; here it signs messages, and nobody but the topic's owner
		// chooses their text.
		sum := sha1.Sum(signedText) //nolint:gosec // as above
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], got)
	default:
		return refuse(http.StatusBadRequest, "the version of the signature is not known here")
	}
	if err != nil {
		return refuse(http.StatusForbidden, "the signature is wrong")
	}
	return nil
}

// chain reads a PEM file, leaf first, and checks that it leads to a root and is
// SNS's.
func chain(text []byte, host string, roots *x509.CertPool, now time.Time) (*x509.Certificate, error) {
	certs, err := certificates(text)
	if err != nil {
		return nil, err
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range certs[1:] {
		o.Intermediates.AddCert(c)
	}
	leaf := certs[0]
	if _, err := leaf.Verify(o); err != nil {
		return nil, err
	}
	general := "sns.amazonaws.com"
	if strings.HasSuffix(host, ".cn") {
		general += ".cn"
	}
	if leaf.VerifyHostname(host) != nil && leaf.VerifyHostname(general) != nil {
		return nil, errors.New("it is for another host")
	}
	return leaf, nil
}

// certificates reads those of a PEM file, at least one.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for len(all) < 8 {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return all, nil
}

// handleSNS judges a message of SNS. settle: it comes from the quarantine, in a
// process that may confirm.
func (t *source) handleSNS(r Request, settle bool) (Verdict, error) {
	m, err := t.parseSNS(r)
	if err != nil {
		return Verdict{}, err
	}
	later := Verdict{Later: newStored(r, t.set.now()), Reply: map[string]string{"reply": "will be verified"}}
	if m.Type == snsSubscribe {
		if !t.On() {
			return Verdict{}, refuse(http.StatusForbidden, "the trigger is switched off")
		}
		if u, ok := snsAddress(m.SubscribeURL, m.TopicArn); !ok || u.Query().Get("Action") != "ConfirmSubscription" || u.Query().Get("TopicArn") != m.TopicArn {
			return Verdict{}, refuse(http.StatusForbidden, "the address to confirm at is not one of SNS")
		}
	}
	err = m.verify(t.set)
	switch {
	case errors.Is(err, errNotFetched):
		return later, nil
	case err != nil:
		return Verdict{}, err
	case m.Type == snsSubscribe && !settle:
		later.Reply = map[string]string{"reply": "will be confirmed"}
		return later, nil
	case m.Type == snsSubscribe:
		return Verdict{Confirm: m.SubscribeURL}, nil
	}
	wish, err := t.readSNS(m)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{}
	v.Events, err = t.events([]message{wish})
	return v, err
}

// readSNS understands `deploy APP[@REF]`, `rollback APP[@RELEASE]` and
// `update landfast[@VERSION]`. A verified message that says anything else is
// refused, so that its sender sees it in its own log of deliveries.
func (t *source) readSNS(m *snsMessage) (message, error) {
	wish := message{action: landfast.ActionDeploy, delivery: m.MessageID, actor: m.TopicArn}
	if m.Type == snsUnsubscribe {
		wish.closed = "the subscription to " + m.TopicArn + " was removed"
		return wish, nil
	}
	words := strings.Fields(m.Message)
	if len(words) != 2 || strings.ContainsAny(m.Message, "\r\n") && strings.TrimSpace(m.Message) != words[0]+" "+words[1] {
		return wish, refuse(http.StatusBadRequest, "the message is not `deploy APP` or `deploy APP@REF`")
	}
	app, ref, named := strings.Cut(words[1], "@")
	if !hostconf.IsName(app) || named && ref == "" {
		return wish, refuse(http.StatusBadRequest, "the message is not `deploy APP` or `deploy APP@REF`")
	}
	wish.apps, wish.text = []string{app}, m.Message
	switch landfast.Action(words[0]) {
	case landfast.ActionDeploy, landfast.ActionUpdate:
		wish.action = landfast.Action(words[0])
		wish.ref, wish.commit = t.refOf(ref)
	case landfast.ActionRollback:
		wish.action, wish.release = landfast.ActionRollback, ref
	default:
		return wish, refuse(http.StatusBadRequest, "the message is not `deploy APP` or `deploy APP@REF`")
	}
	if !slices.Contains(t.Actions, string(wish.action)) {
		return wish, refuse(http.StatusForbidden, "the trigger may not ask for that")
	}
	return wish, nil
}

// refOf reads what stands behind the @: the full id of a commit, a whole ref, a tag
// that the trigger is for, or a branch.
func (t *source) refOf(s string) (ref, commit string) {
	switch {
	case s == "":
		return "", ""
	case commitForm.MatchString(s):
		return "", s
	case strings.HasPrefix(s, "refs/"):
		return s, ""
	case hostconf.Match(t.Tags, s):
		return tags + s, ""
	}
	return heads + s, ""
}

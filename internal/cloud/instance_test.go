package cloud_test

import (
	"os"
	"testing"

	"github.com/landfast/landfast"
	"github.com/landfast/landfast/internal/cloud"
)

// The files have the shape that cloud-init documents for each cloud ("Instance
// metadata", version 1 of the standardised keys).
func TestInstanceData(t *testing.T) {
	for file, want := range map[string]map[string]string{
		"aws": {
			"v1.cloud_name": "aws", "v1.region": "eu-central-1", "v1.availability_zone": "eu-central-1a", "v1.instance_id": "i-0123456789abcdef0",
			"v1.local_hostname": "ip-10-0-0-5", "v1.subplatform": "metadata (http://169.254.169.254)", "ds.meta_data.instance-type": "t3.micro",
		},
		"digitalocean": {
			"v1.cloud_name": "digitalocean", "v1.region": "fra1", "v1.instance_id": "3164494", "ds.meta_data.droplet_id": "3164494",
			"ds.meta_data.features.dhcp_enabled": "true",
		},
		"hetzner": {
			"v1.cloud_name": "hetzner", "v1.region": "eu-central", "v1.availability_zone": "fsn1-dc14", "v1.instance_id": "42", "v1.platform": "hetzner",
		},
	} {
		text, err := os.ReadFile("testdata/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		data, err := cloud.ReadInstanceData(text)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range want {
			got, err := data.Value(key)
			if value == "" {
				if err == nil {
					t.Errorf("%s: %s is %q, want an error", file, key, got)
				}
				continue
			}
			if err != nil || got != value {
				t.Errorf("%s: %s is %q, %v, want %q", file, key, got, err, value)
			}
		}
		_, err = data.Value("v1.zone")
		refused(t, err, landfast.NotFound, "cloud-init knows no v1.zone", "region")
		_, err = data.Value("v1.public_ssh_keys")
		refused(t, err, landfast.Invalid, "not a single value")
	}
	data, err := cloud.ReadInstanceData([]byte(`{"ds": {"user_data": "redacted for non-root user"}, "v1": {"region": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = data.Value("ds.user_data")
	refused(t, err, landfast.Invalid, "root alone")
	_, err = data.Value("v1.region")
	refused(t, err, landfast.NotFound, "does not know v1.region")
	_, err = data.Value("v1.region.x")
	refused(t, err, landfast.NotFound, "knows no v1.region.x")
	_, err = cloud.ReadInstanceData([]byte(`{"v1": `))
	refused(t, err, landfast.Unavailable, "cannot be read")
}

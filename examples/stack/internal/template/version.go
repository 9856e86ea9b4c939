package template

import "strings"

// version is a version of the template language, in order of appearance. The
// last two are CloudFormation's language, which Heat understands as well.
type version int

const (
	hot20130523 version = iota
	hot20141016
	hot20150430
	hot20151015
	hot20160408
	hot20161014
	hot20170224
	hot20170901
	hot20180302
	hot20180831
	hot20210416
	aws20100909
	heat20121212

	firstHOT, lastHOT = hot20130523, hot20210416
	firstCFN, lastCFN = aws20100909, heat20121212
)

// versionKeys are the keys that give a template's version, and the versions
// that each may give. Releases of OpenStack stand for a date.
var versionKeys = map[string]map[string]version{
	"heat_template_version": {
		"2013-05-23": hot20130523, "2014-10-16": hot20141016, "2015-04-30": hot20150430, "2015-10-15": hot20151015,
		"2016-04-08": hot20160408, "2016-10-14": hot20161014, "2017-02-24": hot20170224, "2017-09-01": hot20170901,
		"2018-03-02": hot20180302, "2018-08-31": hot20180831, "2021-04-16": hot20210416,
		"newton": hot20161014, "ocata": hot20170224, "pike": hot20170901, "queens": hot20180302,
		"rocky": hot20180831, "wallaby": hot20210416,
	},
	"AWSTemplateFormatVersion":  {"2010-09-09": aws20100909},
	"HeatTemplateFormatVersion": {"2012-12-12": heat20121212},
}

func (v version) isCFN() bool { return v >= firstCFN }

// hasConditions reports whether resources and outputs can depend on conditions.
func (v version) hasConditions() bool { return v >= hot20161014 && v != heat20121212 }

// key is a key that a map of the template may have. It has a name in each of
// the two languages; "" where it does not exist. The code uses HOT's names.
type key struct {
	hot, cfn string
	only     func(version) bool // nil: in every version
}

var (
	templateKeys = []key{
		{"description", "Description", nil},
		{"parameter_groups", "", nil},
		{"mappings", "Mappings", version.isCFN},
		{"parameters", "Parameters", nil},
		{"conditions", "Conditions", version.hasConditions},
		{"resources", "Resources", nil},
		{"outputs", "Outputs", nil},
	}
	resourceKeys = []key{
		{"type", "Type", nil},
		{"properties", "Properties", nil},
		{"metadata", "Metadata", nil},
		{"depends_on", "DependsOn", nil},
		{"condition", "Condition", version.hasConditions},
		{"description", "Description", nil},
		{"external_id", "", version.hasConditions},
		{"deletion_policy", "DeletionPolicy", nil},
		{"update_policy", "UpdatePolicy", nil},
	}
	outputKeys = []key{
		{"description", "Description", nil},
		{"value", "Value", nil},
		{"condition", "Condition", version.hasConditions},
	}
	parameterKeys = []key{
		{"type", "Type", nil},
		{"description", "Description", nil},
		{"default", "Default", nil},
		{"hidden", "NoEcho", nil},
		{"label", "Label", nil},
		{"schema", "", nil},
		{"immutable", "", nil},
		{"tags", "", func(v version) bool { return v >= hot20180302 }},
		{"constraints", "", nil},
		{"allowed_values", "AllowedValues", version.isCFN},
		{"allowed_pattern", "AllowedPattern", version.isCFN},
		{"min_length", "MinLength", version.isCFN},
		{"max_length", "MaxLength", version.isCFN},
		{"min_value", "MinValue", version.isCFN},
		{"max_value", "MaxValue", version.isCFN},
		{"constraint_description", "ConstraintDescription", version.isCFN},
	}
)

// names returns how the keys are written in this version, and the name that
// the code uses for each.
func (v version) names(keys []key) map[string]string {
	names := map[string]string{}
	for _, k := range keys {
		if written := v.written(k); written != "" {
			names[written] = k.hot
		}
	}
	return names
}

// list lists how the keys are written in this version.
func (v version) list(keys []key) string {
	var all []string
	for _, k := range keys {
		if written := v.written(k); written != "" {
			all = append(all, written)
		}
	}
	return strings.Join(all, ", ")
}

// written returns how a key is written in this version; "" if it does not exist.
func (v version) written(k key) string {
	switch {
	case k.only != nil && !k.only(v):
		return ""
	case v.isCFN():
		return k.cfn
	}
	return k.hot
}

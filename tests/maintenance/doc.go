// Package maintenance rolls the nodes of the stacked lab, and disturbs that in every
// way that the playbooks promise to bear.
package maintenance

// Package crash kills the program, from outside and in every way it can be
// killed, and asks what the targets have seen. Every effect of the playbooks here
// is one line that the command itself appends to its host's log in one write; so
// the logs say, whatever the program's own journal says, what happened and how
// often.
//
// CRASH_KILLS says how many random moments there are to be (1000), CRASH_SEED
// which; the seed of a run is printed.
package crash

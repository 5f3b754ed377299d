"""Matrix mining: every pair of many corpora, planned first, each corpus embedded once, resumed after any crash.

config       a run as a TOML file, parsed
choice       which pairs of the corpora are mined
parameters   how each pair is mined, as values that travel between machines
bench        what every task is given: where everything lies, and what it may use
tasks        what is done somewhere: prepare a corpus, embed a shard, mine a pair
plan         what there is to do, and what it will take
searches     how each pair is searched, kept from the run's first start
backlog      what of it is still to be handed out, and in which order
run          the tasks, given to an executor few at a time
record       what came of it, kept from pair to pair
reports      the record on the disk, written anew beside the work
stage_log    every artifact that was made, by whom and how long it took
histogram    margins, counted
page         the record as an HTML page with a heat map
"""

from bitextmine.matrix.choice import PairChoice
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.matrix.plan import Machine, MatrixCorpus, MatrixPlan, NamedMatrix, name_matrix, plan_matrix
from bitextmine.matrix.run import run_matrix

__all__ = [
    "Machine",
    "MatrixCorpus",
    "MatrixParameters",
    "MatrixPlan",
    "NamedMatrix",
    "PairChoice",
    "name_matrix",
    "plan_matrix",
    "run_matrix",
]

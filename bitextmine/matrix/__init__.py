"""Matrix mining: every pair of many corpora, planned first, each corpus embedded once, resumed after any crash.

config       a run as a TOML file, parsed
choice       which pairs of the corpora are mined
parameters   how each pair is mined, as values that travel between machines
bench        what every task is given: where everything lies, and what it may use
tasks        what is done somewhere: prepare a corpus, embed a shard, mine a pair
plan         what there is to do, and what it will take
run          the tasks in order, given to an executor
record       what came of it, kept from pair to pair
stage_log    every artifact that was made, by whom and how long it took
histogram    margins, counted
page         the record as an HTML page with a heat map
"""

from bitextmine.matrix.choice import PairChoice
from bitextmine.matrix.parameters import MatrixParameters
from bitextmine.matrix.plan import MatrixCorpus, MatrixPlan, plan_matrix
from bitextmine.matrix.run import run_matrix

__all__ = ["MatrixCorpus", "MatrixParameters", "MatrixPlan", "PairChoice", "plan_matrix", "run_matrix"]

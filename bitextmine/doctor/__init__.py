"""What is wrong with an installation, in words: `bitextmine doctor`."""

from bitextmine.doctor.examination import examine
from bitextmine.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]

"""
Whole tasks in simulated time: the real operator, run, delivery, journals and HTTP client, and everything else a model.

A *world* is made of one seed: a Lofty with its faults, a database with its own, and one or several tasks whose
processes are killed, frozen, retried and cleared. The same seed gives the same history, event by event.

``scheduler``  virtual time and whose turn it is
``processes``  what a task's process sees of its machine: clocks, threads, the operator; how it is killed or frozen
``network``    sockets between a process and Lofty
``lofty``      what Lofty stores, shows and answers
``stores``     the SQL journal's database, and Airflow's task state store
``worlds``     settings, and how a world is played
``seeds``      how a seed becomes a world
``invariants`` what must hold when all is over
``directed``   what small worlds with a fixed course are made of
``days``       thirty days of one Dag that reads only what is new
``known``      breaks that wait to be mended: kept out of the worlds of seeds, each with a small world that shows it

To add a fault: give it a setting in ``worlds`` whose default means that it does not happen, let the model of the place
where it strikes ask for it, and let ``seeds`` draw it. Then break the package on purpose and see that some
seed finds it: ``make simulate SEEDS=2000``. What it finds is told with its seed; ``make simulate SEED=17`` shows the
history of that one. What seeds meet too rarely gets a directed world, in ``test_guards`` or ``test_known``.
"""
